//! With `getdents64`, whose positions are the file system's.

use super::Said;
use rustix::fs::{RawDir, RawDirEntry, SeekFrom};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

/// The file systems whose listings say of a file (not of a directory) which inode it is, and whose
/// files have the directory's device: ext2 to ext4, tmpfs, XFS, Btrfs (whose subvolumes are
/// directories). Not so overlays, and what is on other machines.
const TELL_FILES: [u32; 4] = [0xef53, 0x0102_1994, 0x5846_5342, 0x9123_683e];

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

    /// Whether its listing says of a file what a look at the file says.
    pub(super) fn tells_files(&self) -> bool {
        // The type of the number is the platform's; its lower half is the file system's number.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        rustix::fs::fstatfs(&self.0).is_ok_and(|found| TELL_FILES.contains(&(found.f_type as u32)))
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
