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
use std::sync::OnceLock;
#[cfg(not(target_os = "linux"))]
use unix::{Entries, OwnDirectory};

use super::open::reopen;

/// A directory, with a cursor of its own.
pub(crate) struct Listing {
    own: OwnDirectory,
    known: DirectoryFacts,
}

/// What was found of an open directory when it was first listed. It holds for as long as the
/// directory is open.
#[derive(Default)]
pub(crate) struct KnownDirectory(OnceLock<DirectoryFacts>);

#[derive(Clone, Copy)]
struct DirectoryFacts {
    device: u64,
    inode: u64,
    /// Whether a listing says of a file what a look at the file says.
    tells_files: bool,
}

impl KnownDirectory {
    /// Of `own`, which is this directory. Two system calls the first time.
    fn facts(&self, own: &OwnDirectory) -> Result<DirectoryFacts, Errno> {
        if let Some(facts) = self.0.get() {
            return Ok(*facts);
        }
        let found = ListedFile::from(rustix::fs::fstat(own.fd())?);
        let facts = DirectoryFacts {
            device: found.device,
            inode: found.inode,
            tells_files: own.tells_files(),
        };
        Ok(*self.0.get_or_init(|| facts))
    }
}

/// What one entry is.
pub(crate) struct ListedFile {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) file_type: FileType,
}

impl Listing {
    /// The directory `dir`, from its start or from a position that an entry of it told. `known` is
    /// what earlier listings of `dir` have found.
    pub(crate) fn open(
        dir: BorrowedFd<'_>,
        position: Option<u64>,
        known: &KnownDirectory,
    ) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let own = match rustix::fs::openat(dir, c".", flags, Mode::empty()) {
            // May be listed and not searched (mode 0400).
            Err(Errno::ACCESS) => reopen(dir).map_err(|_| Errno::ACCESS)?,
            own => own?,
        };
        let own = OwnDirectory::of(own, position)?;
        let known = known.facts(&own)?;
        Ok(Self { own, known })
    }

    /// The entries, which come from the system by as many as there is room for in `buffer`.
    pub(crate) fn entries<'a>(&'a self, buffer: &'a mut [MaybeUninit<u8>]) -> Entries<'a> {
        self.own.entries(buffer)
    }

    /// What the directory itself is.
    pub(crate) fn itself(&self) -> Result<ListedFile, Errno> {
        Ok(ListedFile {
            device: self.known.device,
            inode: self.known.inode,
            file_type: FileType::Directory,
        })
    }

    /// What an entry is that has just been listed: what the listing says, where that is as good as
    /// a look, else as [`find`](Self::find). Directories are looked at, since something may be
    /// mounted on them. (A file that something is mounted on has the inode below, as in a native
    /// program's listing.)
    pub(crate) fn find_just_listed(
        &self,
        name: &CStr,
        said: Said,
    ) -> Result<Option<ListedFile>, Errno> {
        match said.file_type {
            FileType::Unknown | FileType::Directory => self.find(name, said),
            _ if !self.known.tells_files => self.find(name, said),
            _ => Ok(Some(self.as_said(said))),
        }
    }

    fn as_said(&self, said: Said) -> ListedFile {
        ListedFile {
            device: self.known.device,
            inode: said.inode,
            file_type: said.file_type,
        }
    }

    /// What a listed entry is; a link is not followed. Nothing if it has been removed since it was
    /// listed.
    pub(crate) fn find(&self, name: &CStr, said: Said) -> Result<Option<ListedFile>, Errno> {
        match rustix::fs::statat(self.own.fd(), name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            // A directory that may not be searched (mode 0400), a mount whose server has gone, a
            // damaged inode: the entry has what the listing itself says. One entry is no reason to
            // hide the others.
            Err(_) => Ok(Some(self.as_said(said))),
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
