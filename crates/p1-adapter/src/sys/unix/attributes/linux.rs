//! With `statx`.

use super::{Attributes, FileTime, Mount};
use rustix::fs::{
    AtFlags, FileType, StatVfsMountFlags, Statx, StatxFlags, StatxTimestamp, makedev,
};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

impl From<StatxTimestamp> for FileTime {
    fn from(time: StatxTimestamp) -> Self {
        Self {
            seconds: time.tv_sec,
            nanoseconds: time.tv_nsec,
        }
    }
}

impl Attributes {
    /// Those of `fd`. Where there is no `statx`, or a filter of system calls refuses it, without
    /// the time of birth.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Result<Self, Errno> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        match rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask) {
            // A descriptor's attributes may always be asked for: this is about the call.
            Err(Errno::NOSYS | Errno::PERM) => rustix::fs::fstat(fd).map(Self::from),
            stat => stat.map(Self::from),
        }
    }

    /// Those of what is called `name` in `dir`; a link is not followed. Nothing if this system has
    /// no such call.
    pub(crate) fn of_name(dir: BorrowedFd<'_>, name: &str) -> Result<Option<Self>, Errno> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        match rustix::fs::statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, mask) {
            // An old sandbox refuses what it does not know with `EPERM`.
            Err(Errno::NOSYS | Errno::PERM) => Ok(None),
            found => Ok(Some(found?.into())),
        }
    }
}

impl From<Statx> for Attributes {
    fn from(stat: Statx) -> Self {
        let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
        Self {
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            file_type: FileType::from_raw_mode(stat.stx_mode.into()),
            links: stat.stx_nlink.into(),
            size: stat.stx_size,
            accessed: stat.stx_atime.into(),
            modified: stat.stx_mtime.into(),
            born: has_birth.then(|| stat.stx_btime.into()),
        }
    }
}

impl Mount {
    /// That of `fd`; nothing if it cannot be asked for.
    pub(crate) fn of(fd: BorrowedFd<'_>) -> Option<Self> {
        let mask = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, mask).ok()?;
        let flags = rustix::fs::fstatvfs(fd).ok()?.f_flag;
        Some(Self {
            id: stat.stx_mnt_id,
            device: makedev(stat.stx_dev_major, stat.stx_dev_minor),
            read_only: flags.contains(StatVfsMountFlags::RDONLY),
        })
    }
}
