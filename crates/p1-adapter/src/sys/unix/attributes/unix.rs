//! With `fstat`, which names no time of birth here, and `fstatvfs`.

use super::{Attributes, Mount};
use rustix::fs::{AtFlags, StatVfsMountFlags};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

impl Attributes {
    /// Those of `fd`.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        rustix::fs::fstat(fd).map(Self::from)
    }

    /// Those of what is called `name` in `dir`; a link is not followed.
    pub(crate) fn of_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<Self>, Errno> {
        let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(Some(found.into()))
    }
}

impl Mount {
    /// That of `fd`; nothing if it cannot be asked for. A file system that is mounted twice is one
    /// here.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let device = Attributes::of(fd).ok()?.device;
        let found = rustix::fs::fstatvfs(fd).ok()?;
        Some(Self {
            id: found.f_fsid,
            device,
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }
}
