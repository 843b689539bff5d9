//! Listing a directory.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod unix;

#[cfg(target_os = "linux")]
use linux::{Entries, OwnDirectory};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
#[cfg(not(target_os = "linux"))]
use unix::{Entries, OwnDirectory};

use super::open::reopen;

/// A directory, with a cursor of its own.
pub(crate) struct Listing(OwnDirectory);

/// What one entry is.
pub(crate) struct ListedFile {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
}

impl Listing {
    /// The directory `dir`, from its start or from a position that an entry of it told.
    pub(crate) fn open(dir: BorrowedFd<'_>, position: Option<u64>) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = match rustix::fs::openat(dir, c".", flags, Mode::empty()) {
            // May be listed and not searched (mode 0400).
            Err(Errno::ACCESS) => reopen(dir).map_err(|_| Errno::ACCESS)?,
            own => own?,
        };
        OwnDirectory::of(own, position).map(Self)
    }

    /// The entries, which come from the system by as many as there is room for in `buffer`.
    pub(crate) fn entries<'a>(&'a self, buffer: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        self.0.entries(buffer)
    }

    /// What the directory itself is.
    pub(crate) fn itself(&self) -> Result<ListedFile, Errno> {
        rustix::fs::fstat(self.0.fd()).map(ListedFile::from)
    }

    /// What a listed entry is; a link is not followed. Nothing if it has been removed since it was
    /// listed.
    pub(crate) fn find(&self, name: &CStr, said: Said) -> Result<Option<ListedFile>, Errno> {
        match rustix::fs::statat(self.0.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            // A directory that may not be searched (mode 0400), a mount whose server has gone, a
            // damaged inode: the entry has what the listing itself says. One entry is no reason to
            // hide the others.
            Err(_) => Ok(Some(ListedFile {
                device: self.itself()?.device,
                inode: said.inode,
                file_type: said.file_type,
            })),
        }
    }
}

/// A directory, as wasmtime-wasi opens it.
#[cfg(test)]
pub(crate) fn open_directory(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(path)
}

/// What the directory itself says of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    inode: u64,
    file_type: FileType,
}

impl From<rustix::fs::Stat> for ListedFile {
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of the fields are the platform's"
    )]
    fn from(stat: rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            file_type: FileType::from_raw_mode(stat.st_mode),
        }
    }
}
