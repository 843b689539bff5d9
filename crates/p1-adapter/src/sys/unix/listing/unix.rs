//! With `readdir(3)`, whose entries have no position here. A position is the number of entries up
//! to there, so an entry that is added or removed in front of it shifts those behind.

use super::Said;
use rustix::fs::{Dir, DirEntry};
use rustix::io::Errno;
use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// A directory's own descriptor, and from where on it is listed.
pub(super) struct OwnDirectory {
    own: OwnedFd,
    from: u64,
}

impl OwnDirectory {
    pub(super) fn of(own: OwnedFd, position: Option<u64>) -> Result<Self, Errno> {
        let from = position.unwrap_or(0);
        Ok(Self { own, from })
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.own
    }

    /// Nothing is known of file systems here.
    pub(super) fn tells_files(&self) -> bool {
        false
    }

    /// The C library has a buffer of its own.
    pub(super) fn entries<'a>(&'a self, _buffer: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        Entries {
            of: self,
            open: None,
            position: 0,
        }
    }
}

/// The entries of a directory.
pub(crate) struct Entries<'a> {
    of: &'a OwnDirectory,
    /// Once the first was asked for.
    open: Option<Dir>,
    position: u64,
}

impl Entries<'_> {
    /// The next one. A directory that has been removed is at its end, says POSIX.
    pub(crate) fn next(&mut self) -> Result<Option<ListedName<'_>>, Errno> {
        let open = match &mut self.open {
            Some(open) => open,
            open => open.insert(Dir::read_from(&self.of.own)?),
        };
        loop {
            let entry = match open.read() {
                None | Some(Err(Errno::NOENT)) => return Ok(None),
                Some(entry) => entry?,
            };
            self.position += 1;
            if self.position > self.of.from {
                return Ok(Some(ListedName {
                    entry,
                    position: self.position,
                    entries: PhantomData,
                }));
            }
        }
    }
}

/// A name in a directory.
pub(crate) struct ListedName<'a> {
    entry: DirEntry,
    position: u64,
    entries: PhantomData<&'a ()>,
}

impl ListedName<'_> {
    pub(crate) fn name(&self) -> &CStr {
        self.entry.file_name()
    }

    pub(crate) fn said(&self) -> Said {
        Said {
            inode: self.entry.ino(),
            file_type: self.entry.file_type(),
        }
    }

    /// How many entries there are up to it, itself among them.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }
}
