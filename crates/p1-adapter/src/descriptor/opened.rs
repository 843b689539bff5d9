//! What lies behind a descriptor that was opened by a path or handed over as a file: a file or a
//! directory.

use super::recognise;
use crate::abi::error::Result;
use crate::abi::types::{Errno, Filetype};
use crate::descriptor::cookies::Cookies;
use crate::descriptor::position::{CursorMove, Position};
use crate::descriptor::stream::GuestStream;
use crate::sys::errno::Errno as Os;
use crate::sys::fd::{AsFd as _, BorrowedFd};
use crate::sys::file::{self, FileType, SeekFrom};
use crate::sys::listing::KnownDirectory;
use crate::sys::object::Object;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;

/// What was opened and is not a directory.
pub(crate) struct File {
    pub(crate) inner: wasi::File,
    /// The file type, once it is known that this is a file. It cannot change while the file is
    /// open.
    pub(super) file_type: AtomicU8,
    /// What this is instead, once it is known to be a stream. Never set together with the type.
    stream: OnceLock<Box<GuestStream>>,
    /// Where the cursor is, unless the description is shared.
    position: Option<Position>,
}

/// An open directory.
pub(crate) struct Dir {
    pub(crate) inner: wasi::Descriptor,
    /// The guest's name for it, if it is a preopen.
    pub(crate) preopen: Option<Box<str>>,
    /// What its listings have told.
    pub(crate) cookies: Cookies,
    pub(crate) known: KnownDirectory,
}

pub(super) const UNASKED: u8 = u8::MAX;

impl File {
    /// Of a type not yet looked at; `own`: the description is not shared.
    pub(super) fn unasked(inner: wasi::File, own: bool) -> Self {
        Self {
            inner,
            file_type: AtomicU8::new(UNASKED),
            stream: OnceLock::new(),
            position: own.then(Position::new),
        }
    }

    /// This as a stream, if it is one.
    #[inline]
    pub(super) fn as_stream(&self) -> Result<Option<&GuestStream>> {
        if self.file_type.load(Ordering::Relaxed) != UNASKED {
            return Ok(None);
        }
        self.look()
    }

    /// Finds out whether this is a file: one `fstat`, for the first that asks. Several threads may
    /// ask at once: they find the same, and all use the stream that is there first.
    #[inline(never)]
    pub(super) fn look(&self) -> Result<Option<&GuestStream>> {
        if self.stream.get().is_none() {
            match recognise::as_stream(&self.inner)? {
                Ok(stream) => drop(self.stream.set(Box::new(stream))),
                Err(found) => {
                    self.is_file(found);
                    return Ok(None);
                }
            }
        }
        Ok(self.stream.get().map(|stream| &**stream))
    }

    pub(super) fn is_file(&self, found: FileType) {
        self.file_type.store(
            crate::abi::convert::file_type(found) as u8,
            Ordering::Relaxed,
        );
    }

    /// Takes note of a type that was seen; returns whether it says that this is a file.
    pub(crate) fn learn(&self, found: FileType) -> bool {
        let file = !recognise::may_be_stream(found);
        if file {
            self.is_file(found);
        }
        file
    }

    /// Whether others may have the description too.
    pub(crate) fn is_shared(&self) -> bool {
        self.position.is_none()
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }

    /// Fails with `badf`, as the operating system does, unless the file was opened for reading.
    pub(crate) fn check_read(&self) -> Result<()> {
        if !self.inner.open_mode.contains(OpenMode::READ) {
            return Err(Errno::Badf.into());
        }
        Ok(())
    }

    /// The check of a data write: opened for writing (`badf`), below a preopen that may be written
    /// (`perm`).
    pub(crate) fn check_write(&self) -> Result<()> {
        if !self.inner.open_mode.contains(OpenMode::WRITE) {
            return Err(Errno::Badf.into());
        }
        self.check_perms()
    }

    /// As in the operating system, a file that was not opened for writing is not cut (`inval`).
    pub(crate) fn check_cut(&self) -> Result<()> {
        self.check_perms()?;
        if !self.inner.open_mode.contains(OpenMode::WRITE) {
            return Err(Errno::Inval.into());
        }
        Ok(())
    }

    /// The check of any other change: below a preopen that may be written (`perm`).
    pub(crate) fn check_perms(&self) -> Result<()> {
        if self.inner.perms.write_not_permitted() {
            return Err(Errno::Perm.into());
        }
        Ok(())
    }

    /// To be held by a system call that may move the cursor.
    #[inline]
    pub(crate) fn moving(&self) -> Option<CursorMove<'_>> {
        self.kept_position().map(Position::moving)
    }

    /// Only for regular files: other objects with a cursor may move it by rules of their own.
    #[inline]
    fn kept_position(&self) -> Option<&Position> {
        let regular = self.file_type.load(Ordering::Relaxed) == Filetype::RegularFile as u8;
        self.position.as_ref().filter(|_| regular)
    }

    /// Where the cursor is: one system call, or none if it has not moved since the last.
    pub(crate) fn tell(&self) -> Result<u64, Os> {
        if let Some(known) = self.kept_position().and_then(Position::known) {
            return Ok(known);
        }
        self.seek(SeekFrom::Current(0))
    }

    /// Moves the cursor; where it is then.
    pub(crate) fn seek(&self, to: SeekFrom) -> Result<u64, Os> {
        let moving = self.moving();
        let at = file::seek(self.fd(), to)?;
        if let Some(moving) = moving {
            moving.ends_at(at);
        }
        Ok(at)
    }

    /// How many bytes lie between the cursor and the end of the file.
    pub(crate) fn bytes_left(&self) -> Result<u64, Errno> {
        let size = Object::of(self.fd())
            .map_err(crate::abi::errno::of_os)?
            .size();
        // What has no position (a FIFO, a terminal) has no bytes one could count.
        let at = self.tell().unwrap_or(0);
        Ok(size.saturating_sub(at))
    }

    /// The file's type. Only asked of what is known to be a file.
    pub(crate) fn file_type(&self) -> Filetype {
        Filetype::try_from(self.file_type.load(Ordering::Relaxed)).unwrap_or(Filetype::Unknown)
    }
}

impl Dir {
    /// A directory that is no preopen.
    pub(crate) fn unnamed(inner: wasi::Descriptor) -> Self {
        Self {
            inner,
            preopen: None,
            cookies: Cookies::default(),
            known: KnownDirectory::default(),
        }
    }

    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        match &self.inner {
            wasi::Descriptor::Dir(dir) => Ok(dir.dir.as_fd()),
            wasi::Descriptor::File(_) => Err(Errno::Notdir.into()),
        }
    }

    /// The check of a change to the directory itself: below a preopen that may be written (`perm`).
    pub(crate) fn check_perms(&self) -> Result<()> {
        match &self.inner {
            wasi::Descriptor::Dir(dir) if dir.perms.write_not_permitted() => {
                Err(Errno::Perm.into())
            }
            _ => Ok(()),
        }
    }
}
