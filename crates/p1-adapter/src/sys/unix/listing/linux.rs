//! With `getdents64`, whose positions are the file system's.

use super::Said;
use rustix::fs::{RawDir, RawDirEntry, SeekFrom};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// A directory's own descriptor.
pub(super) struct OwnDirectory(OwnedFd);

impl OwnDirectory {
    pub(super) fn of(own: OwnedFd, position: Option<u64>) -> Result<Self, Errno> {
        if let Some(position) = position {
            rustix::fs::seek(&own, SeekFrom::Start(position))?;
        }
        Ok(Self(own))
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    pub(super) fn entries<'a>(&'a self, buffer: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        Entries(RawDir::new(&self.0, buffer))
    }
}

/// The entries of a directory.
pub(crate) struct Entries<'a>(RawDir<'a, &'a OwnedFd>);

impl Entries<'_> {
    /// The next one. A directory that has been removed is at its end, says POSIX.
    pub(crate) fn next(&mut self) -> Result<Option<ListedName<'_>>, Errno> {
        match self.0.next() {
            None | Some(Err(Errno::NOENT)) => Ok(None),
            Some(Ok(entry)) => Ok(Some(ListedName(entry))),
            Some(Err(errno)) => Err(errno),
        }
    }
}

/// A name in a directory.
pub(crate) struct ListedName<'a>(RawDirEntry<'a>);

impl ListedName<'_> {
    pub(crate) fn name(&self) -> &CStr {
        self.0.file_name()
    }

    pub(crate) fn said(&self) -> Said {
        Said {
            inode: self.0.ino(),
            file_type: self.0.file_type(),
        }
    }

    /// The system's position behind it.
    pub(crate) fn position(&self) -> u64 {
        self.0.next_entry_cookie()
    }
}
