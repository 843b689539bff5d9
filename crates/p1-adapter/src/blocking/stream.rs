//! A host descriptor that may block, and how to use it without blocking in it.

use super::wait::{Direction, Interest};
use super::write_lock::EndableLock;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::file::{FileType, duplicate, never_wait};
use crate::sys::object::{Object, is_terminal};
use crate::sys::open::reopen;
use crate::sys::socket;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::Mutex;

/// What kind of object a [`Stream`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// A regular file, directory or block device: always ready.
    File,
    /// `/dev/null`, `/dev/zero`, `/dev/full`, `/dev/random` and `/dev/urandom`: always ready.
    Memory,
    /// A pipe or FIFO.
    Pipe,
    /// A terminal.
    Terminal,
    /// A socket of any family.
    Socket,
    /// Any other object.
    Other,
}

impl StreamKind {
    /// What kind of object `fd` is.
    ///
    /// # Errors
    ///
    /// What `fstat` reports.
    pub fn of(fd: impl AsFd) -> io::Result<StreamKind> {
        Ok(classify(&Object::of(&fd)?, fd.as_fd()))
    }
}

/// How one attempt to transfer is to be made so that it does not wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Manner {
    /// `readv` / `writev`: the descriptor does not block, or is known to be ready.
    Plain,
    /// `preadv2` / `pwritev2` at offset -1 with `RWF_NOWAIT`.
    NoWait,
    /// `recvmsg` with `MSG_DONTWAIT`; `sendmsg` with `MSG_DONTWAIT | MSG_NOSIGNAL`.
    Socket,
}

/// How a stream is used; only ever moves from `NoWait` to `PollFirst`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Policy {
    Direct = 0,
    NoWait = 1,
    Socket = 2,
    PollFirst = 3,
}

/// What closes a stream's descriptor.
#[derive(Debug)]
enum HeldFd {
    /// The stream.
    Own(OwnedFd),
    /// The last holder.
    Shared(Arc<std::fs::File>),
}

impl AsFd for HeldFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            HeldFd::Own(fd) => fd.as_fd(),
            HeldFd::Shared(file) => file.as_fd(),
        }
    }
}

/// A host descriptor that reads and writes in order: a pipe, a terminal, a socket, a device, or a
/// regular file used as one.
///
/// The page of the module `blocking` says what is done to each kind. Dropping it closes the
/// descriptor it holds, which is never the one it was made from.
#[derive(Debug)]
pub struct Stream {
    fd: HeldFd,
    kind: StreamKind,
    policy: AtomicU8,
    /// Whether a guest has opened it, which may have opened its other side too.
    by_path: bool,
    /// Held for the whole of one guest write.
    pub(super) writing: EndableLock,
    /// Between "is it ready" and the read, where that takes two calls.
    pub(super) reading: EndableLock,
}

impl Stream {
    /// A stream on a descriptor that others use too, such as inherited standard input. Its flags
    /// are not changed, now or later; the caller may close `fd` afterwards.
    ///
    /// # Errors
    ///
    /// `EBADF` if `fd` is closed, `EMFILE` if no descriptor is left.
    pub fn inherited(fd: BorrowedFd<'_>) -> io::Result<Stream> {
        let kind = classify(&Object::of(fd)?, fd);
        let reopened = match kind {
            StreamKind::Pipe | StreamKind::Terminal => reopen(fd).ok(),
            _ => None,
        };
        let policy = match kind {
            StreamKind::File | StreamKind::Memory => Policy::Direct,
            StreamKind::Socket => Policy::Socket,
            StreamKind::Pipe | StreamKind::Terminal if reopened.is_some() => Policy::Direct,
            StreamKind::Pipe | StreamKind::Terminal | StreamKind::Other => Policy::NoWait,
        };
        let fd = match reopened {
            Some(fd) => fd,
            None => duplicate(fd)?,
        };
        Ok(Stream::with(HeldFd::Own(fd), kind, policy))
    }

    /// A stream on a descriptor whose open file description is this process's alone, such as a FIFO
    /// it has opened. Everything but files and sockets gets `O_NONBLOCK`.
    ///
    /// # Errors
    ///
    /// What `fstat` or `fcntl` report.
    pub fn owned(fd: OwnedFd) -> io::Result<Stream> {
        Stream::own(HeldFd::Own(fd))
    }

    /// As [`owned`](Self::owned), for a connection that has just been accepted: it is not asked
    /// what it is.
    pub(crate) fn connection(fd: OwnedFd) -> io::Result<Stream> {
        socket::own(&fd)?;
        let fd = HeldFd::Own(fd);
        Ok(Stream::with(fd, StreamKind::Socket, Policy::Socket))
    }

    /// As [`owned`](Self::owned), for a file that is kept open elsewhere too. It is used through
    /// the stream only.
    pub(crate) fn of_file(file: Arc<std::fs::File>) -> io::Result<Stream> {
        Stream::own(HeldFd::Shared(file))
    }

    fn own(fd: HeldFd) -> io::Result<Stream> {
        let kind = classify(&Object::of(&fd)?, fd.as_fd());
        let policy = match kind {
            StreamKind::File | StreamKind::Memory => Policy::Direct,
            StreamKind::Socket => {
                socket::own(&fd)?;
                Policy::Socket
            }
            StreamKind::Pipe | StreamKind::Terminal | StreamKind::Other => match never_wait(&fd)? {
                true => Policy::Direct,
                false => Policy::PollFirst,
            },
        };
        Ok(Stream::with(fd, kind, policy))
    }

    fn with(fd: HeldFd, kind: StreamKind, policy: Policy) -> Stream {
        Stream {
            fd,
            kind,
            policy: AtomicU8::new(policy as u8),
            by_path: false,
            writing: EndableLock::default(),
            reading: EndableLock::default(),
        }
    }

    /// The write lock, for a task to hold across waits; nothing where a write is one system call.
    pub(crate) fn write_lock(&self) -> Option<&Arc<Mutex<()>>> {
        (!self.is_always_ready()).then(|| self.writing.mutex())
    }

    /// What it is.
    pub fn kind(&self) -> StreamKind {
        self.kind
    }

    /// Takes note that a guest has opened it by a path.
    pub(crate) fn opened_by_path(&mut self) {
        self.by_path = true;
    }

    /// Whether it only carries bytes in order, from outside or to there.
    pub(crate) fn is_from_outside(&self) -> bool {
        !self.by_path && !matches!(self.kind, StreamKind::Socket | StreamKind::Other)
    }

    /// Whether no call on it ever has to wait, so that a poll finds it ready at once.
    pub fn is_always_ready(&self) -> bool {
        matches!(self.kind, StreamKind::File | StreamKind::Memory)
    }

    /// What to [`wait`](super::wait) for, or nothing if it is always ready.
    pub fn interest(&self, direction: Direction) -> Option<Interest<'_>> {
        (!self.is_always_ready()).then(|| Interest::new(self.fd.as_fd(), direction))
    }

    /// Bytes that a read would find now, or 0 where the system cannot say.
    pub fn readable_bytes(&self) -> u64 {
        crate::sys::file::readable_bytes(&self.fd).unwrap_or(0)
    }

    pub(super) fn policy(&self) -> Policy {
        match self.policy.load(Ordering::Relaxed) {
            0 => Policy::Direct,
            1 => Policy::NoWait,
            2 => Policy::Socket,
            _ => Policy::PollFirst,
        }
    }

    /// `RWF_NOWAIT` is not available here. Each value of the policy is right by itself, so threads
    /// that see the change late only try once more.
    pub(super) fn poll_first(&self) {
        self.policy
            .store(Policy::PollFirst as u8, Ordering::Relaxed);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn classify(found: &Object, fd: BorrowedFd<'_>) -> StreamKind {
    match found.file_type() {
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice => StreamKind::File,
        FileType::Fifo => StreamKind::Pipe,
        FileType::Socket => StreamKind::Socket,
        FileType::CharacterDevice if found.is_memory() => StreamKind::Memory,
        // Opening the multiplexer again would make another pty.
        FileType::CharacterDevice if !found.is_pty_multiplexer() && is_terminal(fd) => {
            StreamKind::Terminal
        }
        _ => StreamKind::Other,
    }
}
