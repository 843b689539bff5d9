//! Listing a directory.

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, RawDirEntry, SeekFrom};
use rustix::io::Errno;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::open::reopen;

/// A directory, with a cursor of its own.
pub(crate) struct Listing(OwnedFd);

/// What one entry is.
pub(crate) struct ListedFile {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
}

impl Listing {
    /// The directory `dir`, from its start or from a position that [`ListedName::position`] told.
    pub(crate) fn open(dir: BorrowedFd<'_>, position: Option<u64>) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = match rustix::fs::openat(dir, c".", flags, Mode::empty()) {
            // May be listed and not searched (mode 0400).
            Err(Errno::ACCESS) => reopen(dir).map_err(|_| Errno::ACCESS)?,
            own => own?,
        };
        if let Some(position) = position {
            rustix::fs::seek(&own, SeekFrom::Start(position))?;
        }
        Ok(Self(own))
    }

    /// The entries, which come from the system by as many as there is room for in `buffer`.
    pub(crate) fn entries<'a>(&'a self, buffer: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        Entries(RawDir::new(&self.0, buffer))
    }

    /// What the directory itself is.
    pub(crate) fn itself(&self) -> Result<ListedFile, Errno> {
        rustix::fs::fstat(&self.0).map(ListedFile::from)
    }

    /// What a listed entry is; a link is not followed. Nothing if it has been removed since it was listed.
    pub(crate) fn find(&self, name: &CStr, said: Said) -> Result<Option<ListedFile>, Errno> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            // A directory that may not be searched (mode 0400), a mount whose server has gone, a damaged inode: what the
            // listing itself says. One entry is no reason to hide the others.
            Err(_) => Ok(Some(ListedFile {
                device: self.itself()?.device,
                inode: said.inode,
                file_type: said.file_type,
            })),
        }
    }
}

/// What the directory itself says of an entry.
#[derive(Clone, Copy)]
pub(crate) struct Said {
    inode: u64,
    file_type: FileType,
}

impl From<rustix::fs::Stat> for ListedFile {
    fn from(stat: rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            file_type: FileType::from_raw_mode(stat.st_mode),
        }
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
