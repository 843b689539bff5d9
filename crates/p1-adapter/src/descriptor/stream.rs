//! Descriptors that carry bytes in order: standard input, output and error, pipes and the like.

use crate::abi::error::Result;
use crate::abi::types::{Errno, Filetype, Rights};
use crate::blocking::{
    self, BlockingError, Direction, EmbedderInput, EmbedderOutput, EndSignal, Interest, Listener,
    Ready, StreamKind,
};
use crate::guest::buffers::GuestBufs;
use crate::sys::fd::{AsFd as _, BorrowedFd};
use crate::sys::socket::{self, SocketType};
use std::sync::Arc;
use wasmtime_wasi::FsPerms;

/// A stream as the guest sees it: where the bytes go, and in which directions.
pub(crate) struct GuestStream {
    pub(crate) source: Source,
    readable: bool,
    writable: bool,
    /// What kind of socket it is, if it is one.
    socket: Option<SocketType>,
    /// If it was opened by a path.
    opened: Option<FsPerms>,
    /// Whether nothing is told of what it is.
    plain: bool,
}

/// What is behind a stream.
pub(crate) enum Source {
    /// Reads find the end at once, and writes are discarded. A context has this where nothing was
    /// configured.
    Null,
    /// A descriptor of the host's.
    Host(blocking::Stream),
    /// A socket that accepts connections; bytes neither come nor go.
    Listener(Listener),
    /// A stream of the embedder's, to be read.
    Input(EmbedderInput),
    /// A stream of the embedder's, to be written.
    Output(EmbedderOutput),
}

/// How one finds out that a stream is ready.
pub(crate) enum ReadyBy<'a> {
    /// It always is.
    Always,
    /// By `poll(2)`.
    Poll(Interest<'a>),
    /// By a future of the embedder's.
    Future(Ready<'a>),
}

impl GuestStream {
    fn new(source: Source, readable: bool, writable: bool) -> Self {
        // A kind that cannot be asked for is taken for bytes in order.
        let kind = |fd: BorrowedFd<'_>| Some(socket::kind(fd).unwrap_or(SocketType::STREAM));
        let socket = match &source {
            Source::Host(host) if host.kind() == StreamKind::Socket => kind(host.as_fd()),
            Source::Listener(listener) => kind(listener.as_fd()),
            _ => None,
        };
        Self::with(source, (readable, writable), socket)
    }

    fn with(
        source: Source,
        (readable, writable): (bool, bool),
        socket: Option<SocketType>,
    ) -> Self {
        Self {
            source,
            readable,
            writable,
            socket,
            opened: None,
            plain: false,
        }
    }

    /// The same as bytes in order, of which nothing else is told.
    pub(crate) fn plain(mut self) -> Self {
        self.plain = true;
        self
    }

    /// Whether what is read and written is a matter of the bytes alone: they come from outside, and
    /// in order.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.source {
            Source::Null | Source::Input(_) | Source::Output(_) => true,
            Source::Listener(_) => false,
            Source::Host(host) => host.is_from_outside(),
        }
    }

    pub(crate) fn is_terminal(&self) -> bool {
        matches!(&self.source, Source::Host(host) if host.kind() == StreamKind::Terminal)
    }

    pub(crate) fn input(source: Source) -> Self {
        Self::new(source, true, false)
    }

    pub(crate) fn output(source: Source) -> Self {
        Self::new(source, false, true)
    }

    /// A connected socket, or another stream that goes both ways or is limited to one by the
    /// embedder.
    pub(crate) fn duplex(host: blocking::Stream, readable: bool, writable: bool) -> Self {
        Self::new(Source::Host(host), readable, writable)
    }

    pub(crate) fn listener(listener: Listener) -> Self {
        Self::new(Source::Listener(listener), false, false)
    }

    /// A connection that this listener has accepted, which is of its kind.
    pub(crate) fn connection(&self, host: blocking::Stream) -> Self {
        Self::with(Source::Host(host), (true, true), self.socket)
    }

    /// As something that `path_open` found below a directory of these permissions: it has
    /// attributes.
    pub(crate) fn opened_below(mut self, perms: FsPerms) -> Self {
        self.opened = Some(perms);
        if let Source::Host(host) = &mut self.source {
            host.opened_by_path();
        }
        self
    }

    /// The descriptor of what was opened by a path, and the permissions it was found with.
    pub(crate) fn opened(&self) -> Option<(BorrowedFd<'_>, FsPerms)> {
        match &self.source {
            Source::Host(host) => Some((host.as_fd(), self.opened?)),
            _ => None,
        }
    }

    /// The host's descriptor, if it is one.
    pub(crate) fn host(&self) -> Option<BorrowedFd<'_>> {
        match &self.source {
            Source::Host(_) if self.plain => None,
            Source::Host(host) => Some(host.as_fd()),
            Source::Listener(listener) => Some(listener.as_fd()),
            Source::Null | Source::Input(_) | Source::Output(_) => None,
        }
    }

    /// Its holder is the one thread or task that writes. Nothing where nothing is waited for.
    pub(crate) fn write_lock(&self) -> Option<&Arc<tokio::sync::Mutex<()>>> {
        match &self.source {
            Source::Host(host) => host.write_lock(),
            Source::Output(output) => Some(output.write_lock()),
            Source::Null | Source::Listener(_) | Source::Input(_) => None,
        }
    }

    pub(crate) fn is_embedders(&self) -> bool {
        matches!(self.source, Source::Input(_) | Source::Output(_))
    }

    /// Whether each transfer is a record of its own: a datagram, or one of a socket that keeps them
    /// apart in order.
    pub(crate) fn has_records(&self) -> bool {
        self.socket.is_some_and(|kind| kind != SocketType::STREAM)
    }

    /// `msgsize` for a record that would have to be cut because its list of buffers is too long.
    /// Bytes in order are transferred in part.
    pub(crate) fn check_record(&self, bufs: &GuestBufs<'_>) -> Result<()> {
        if bufs.is_cut() && self.has_records() {
            return Err(Errno::Msgsize.into());
        }
        Ok(())
    }

    /// Whether a write of `bufs` does nothing. An empty record is written; no bytes of a byte
    /// stream are not.
    pub(crate) fn is_nothing(&self, bufs: &GuestBufs<'_>) -> bool {
        bufs.len() == 0 && !self.has_records()
    }

    pub(crate) fn rights(&self) -> Rights {
        let mut rights = Rights::empty();
        rights.set(Rights::FD_READ, self.readable);
        rights.set(Rights::FD_WRITE, self.writable);
        match &self.source {
            Source::Listener(_) => {
                rights |= Rights::SOCK_ACCEPT
                    | Rights::POLL_FD_READWRITE
                    | Rights::FD_FDSTAT_SET_FLAGS
                    | Rights::FD_FILESTAT_GET;
            }
            Source::Host(host) if host.kind() == StreamKind::Socket => {
                rights |= Rights::SOCK_SHUTDOWN
                    | Rights::POLL_FD_READWRITE
                    | Rights::FD_FDSTAT_SET_FLAGS
                    | Rights::FD_FILESTAT_GET;
            }
            Source::Host(_) => {
                rights |= Rights::POLL_FD_READWRITE
                    | Rights::FD_FDSTAT_SET_FLAGS
                    | Rights::FD_FILESTAT_GET;
                if self.opened.is_some() {
                    rights |= Rights::FD_FILESTAT_SET_TIMES | Rights::FD_SYNC | Rights::FD_DATASYNC;
                }
            }
            _ => {}
        }
        rights
    }

    /// What is passed on: for a listener what its connections are born with, else the same.
    pub(crate) fn inheriting_rights(&self) -> Rights {
        match &self.source {
            Source::Listener(_) => {
                Rights::FD_READ
                    | Rights::FD_WRITE
                    | Rights::SOCK_SHUTDOWN
                    | Rights::POLL_FD_READWRITE
                    | Rights::FD_FDSTAT_SET_FLAGS
                    | Rights::FD_FILESTAT_GET
            }
            _ => self.rights(),
        }
    }

    /// A terminal is a character device and a socket is one; everything else has no type, so that a
    /// C library does not take it for one.
    pub(crate) fn file_type(&self) -> Filetype {
        if self.plain {
            return Filetype::Unknown;
        }
        if let Some(kind) = self.socket {
            return match kind {
                SocketType::DGRAM => Filetype::SocketDgram,
                _ => Filetype::SocketStream,
            };
        }
        let terminal = match &self.source {
            Source::Listener(_) => return Filetype::SocketStream,
            Source::Host(host) => host.kind() == StreamKind::Terminal,
            Source::Input(input) => input.is_terminal(),
            Source::Output(output) => output.is_terminal(),
            Source::Null => false,
        };
        if terminal {
            Filetype::CharacterDevice
        } else {
            Filetype::Unknown
        }
    }

    pub(crate) fn is_listener(&self) -> bool {
        matches!(self.source, Source::Listener(_))
    }

    pub(crate) fn check_read(&self) -> Result<()> {
        if self.readable {
            Ok(())
        } else {
            Err(Errno::Badf.into())
        }
    }

    pub(crate) fn check_write(&self) -> Result<()> {
        if self.writable {
            Ok(())
        } else {
            Err(Errno::Badf.into())
        }
    }

    /// `badf` for a direction the stream does not have. A listener is polled for reading: a
    /// connection.
    pub(crate) fn check_poll(&self, direction: Direction) -> Result<()> {
        match (&self.source, direction) {
            (Source::Listener(_), Direction::Read) => Ok(()),
            (_, Direction::Read) => self.check_read(),
            (_, Direction::Write) => self.check_write(),
        }
    }

    /// One read; waits for the first byte unless `nonblock`.
    pub(crate) fn read(
        &self,
        bufs: &GuestBufs<'_>,
        nonblock: bool,
        end: &EndSignal,
    ) -> Result<usize> {
        match &self.source {
            Source::Null | Source::Output(_) => Ok(0),
            Source::Listener(_) => Err(Errno::Notconn.into()),
            // A read of no bytes has nothing to wait for, but an empty receive on a socket would
            // wait.
            Source::Host(_) | Source::Input(_) if bufs.len() == 0 => Ok(0),
            Source::Host(host) => {
                Ok(host.read(nonblock, end, |fd, manner| Ok(bufs.try_read(fd, manner)?))?)
            }
            Source::Input(input) => Ok(input.read(bufs.len(), nonblock, end, |bytes| {
                bufs.fill(bytes);
                Ok(())
            })?),
        }
    }

    /// One write: all of it, in one piece, unless `nonblock`.
    pub(crate) fn write(
        &self,
        bufs: &GuestBufs<'_>,
        nonblock: bool,
        end: &EndSignal,
    ) -> Result<usize> {
        match &self.source {
            Source::Null | Source::Input(_) => Ok(bufs.len()),
            Source::Listener(_) => Err(Errno::Notconn.into()),
            _ if self.is_nothing(bufs) => Ok(0),
            Source::Host(host) => {
                Ok(host.write(bufs.len(), nonblock, end, |fd, manner, range| {
                    Ok(bufs.try_write(fd, manner, &range)?)
                })?)
            }
            Source::Output(output) => Ok(output.write(bufs.len(), nonblock, end, |range| {
                Ok::<_, BlockingError>(bufs.copy_out(&range).into())
            })?),
        }
    }

    /// A piece of the write of the holder of the write lock: what can be written without waiting,
    /// which is `again` if that is nothing.
    pub(crate) fn write_piece(&self, bufs: &GuestBufs<'_>, end: &EndSignal) -> Result<usize> {
        match &self.source {
            Source::Host(host) => Ok(host.write_locked(
                bufs.len(),
                true,
                end,
                |fd, manner, range| Ok(bufs.try_write(fd, manner, &range)?),
            )?),
            Source::Output(output) => Ok(output.write_piece(bufs.len(), |range| {
                Ok::<_, BlockingError>(bufs.copy_out(&range).into())
            })?),
            Source::Null | Source::Listener(_) | Source::Input(_) => self.write(bufs, true, end),
        }
    }

    /// Starts what is left to do when everything is written, if it has not `begun`; `again` until
    /// it is done.
    pub(crate) fn flush_piece(&self, begun: &mut bool) -> Result<()> {
        match &self.source {
            Source::Output(output) => Ok(output.flush_piece(begun)?),
            _ => Ok(()),
        }
    }

    /// How to find out that the stream is ready for `direction`.
    pub(crate) fn readiness(&self, direction: Direction) -> ReadyBy<'_> {
        match &self.source {
            Source::Null => ReadyBy::Always,
            Source::Host(host) => match host.interest(direction) {
                Some(interest) => ReadyBy::Poll(interest),
                None => ReadyBy::Always,
            },
            Source::Listener(listener) => ReadyBy::Poll(listener.interest()),
            Source::Input(input) => ReadyBy::Future(input.ready()),
            Source::Output(output) => ReadyBy::Future(output.ready()),
        }
    }

    /// How many bytes a read would find now, as far as the host can say.
    pub(crate) fn readable_bytes(&self) -> u64 {
        match &self.source {
            Source::Null => 0,
            Source::Host(host) => host.readable_bytes(),
            // A connection; something.
            Source::Listener(_) | Source::Input(_) | Source::Output(_) => 1,
        }
    }
}
