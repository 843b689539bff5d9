//! Opening a FIFO, which waits for the other side, so that the wait can be ended.
//!
//! `open(2)` of a FIFO for reading returns once the FIFO is open for writing, and the other way
//! round. No flag makes that wait pollable. Opened non-blocking, the reading side is there at once
//! (and reads "end of file"), and the writing side fails.
//!
//! So the calling thread does block in `open(2)`, and the end signal frees it by becoming that
//! other side. The signal's hook opens the FIFO for reading and writing, which never waits, and
//! holds it until the blocked call has returned. Holding it closes the gap between registering the
//! hook and reaching the system call: an `open` that comes later finds the other side there.

use super::end::{BlockingError, EndSignal};
use super::stream::Stream;
use crate::lock::lock;
use crate::sys::errno::Errno;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::file::{FileType, OFlags};
use crate::sys::object::Object;
use crate::sys::open::{anchor, open_again};
use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, Mutex};

/// A FIFO found in a directory, not opened yet: neither side of it is there.
#[derive(Clone, Debug)]
pub struct Fifo {
    /// An `O_PATH` descriptor: it names the object and is no end of it.
    anchor: Arc<OwnedFd>,
    /// Device and inode.
    id: (u64, u64),
}

/// Which sides to open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FifoAccess {
    /// Waits for a writer.
    Read,
    /// Waits for a reader.
    Write,
    /// Both, which on Linux never waits.
    ReadWrite,
}

impl FifoAccess {
    fn flags(self) -> OFlags {
        let access = match self {
            FifoAccess::Read => OFlags::RDONLY,
            FifoAccess::Write => OFlags::WRONLY,
            FifoAccess::ReadWrite => OFlags::RDWR,
        };
        access | OFlags::CLOEXEC | OFlags::NOCTTY
    }

    fn other_side(self) -> OFlags {
        let access = match self {
            FifoAccess::Write => OFlags::RDONLY,
            FifoAccess::Read | FifoAccess::ReadWrite => OFlags::WRONLY,
        };
        access | OFlags::CLOEXEC | OFlags::NONBLOCK
    }
}

impl Fifo {
    /// The FIFO called `name` in `directory`, or `None` if that is something else (a symbolic link
    /// is something else). `name` is one component: no separator, not `.` or `..`.
    ///
    /// # Errors
    ///
    /// What `openat` reports; `Unsupported` where there is no `O_PATH`.
    pub fn find(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<Option<Fifo>> {
        let bytes = name.as_encoded_bytes();
        if bytes.is_empty() || bytes.contains(&b'/') || matches!(bytes, b"." | b"..") {
            return Err(Errno::INVAL.into());
        }
        let anchor = anchor(directory, name)?;
        let found = Object::of(&anchor)?;
        Ok((found.file_type() == FileType::Fifo).then(|| Fifo {
            anchor: Arc::new(anchor),
            id: found.id(),
        }))
    }

    /// Whether both are the same FIFO, under any names. (The number of a FIFO that is held is not
    /// given to another.)
    pub(crate) fn is_same(&self, other: &Fifo) -> bool {
        self.id == other.id
    }

    /// Opens the side that an open with `access` waits for, or both if that is allowed: never
    /// waits. As long as the result is held, no such open waits.
    ///
    /// # Errors
    ///
    /// What `open` reports. If only the other side may be opened, and that is the writing one,
    /// `ENXIO` until the reader is there.
    pub(crate) fn other_side(&self, access: FifoAccess) -> io::Result<OwnedFd> {
        let both = FifoAccess::ReadWrite.flags() | OFlags::NONBLOCK;
        let anchor = self.anchor.as_fd();
        Ok(open_again(anchor, both).or_else(|_| open_again(anchor, access.other_side()))?)
    }

    /// Opens it, waiting for the other side unless `nonblocking`. The kernel checks permissions as
    /// it does for any `open`.
    ///
    /// The wait ends with `end` if this process may open the other side. If it may not (it has only
    /// one permission for the FIFO), the thread stays until a real peer comes. A peer that arrives
    /// in the moment of freeing sees it as if this side had come and gone.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Interrupted`] if `end` was raised; what `open` reports: `ENXIO` for
    /// writing, `nonblocking`, with no reader.
    pub fn open(
        &self,
        access: FifoAccess,
        nonblocking: bool,
        end: &EndSignal,
    ) -> Result<Stream, BlockingError> {
        let anchor = self.anchor.as_fd();
        if nonblocking || access == FifoAccess::ReadWrite {
            let fd = open_again(anchor, access.flags() | OFlags::NONBLOCK)?;
            return Ok(Stream::owned(fd)?);
        }
        // Kept until this call has returned; if the hook runs later than that, it goes with the
        // hook.
        let freed = Arc::new(Mutex::new(None::<OwnedFd>));
        let hook = {
            let (freed, fifo) = (Arc::clone(&freed), self.clone());
            end.on_raise(move || {
                let side = fifo.other_side(access);
                *lock(&freed) = side.ok();
            })?
        };
        let opened = loop {
            match open_again(anchor, access.flags()) {
                Err(Errno::INTR) => end.check()?,
                result => break result,
            }
        };
        drop(hook);
        end.check()?;
        Ok(Stream::owned(opened?)?)
    }
}
