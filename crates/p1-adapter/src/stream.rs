//! Descriptors that carry bytes in order: standard input, output and error, pipes and the like.

use crate::abi::types::{Errno, Filetype, Rights};
use crate::blocking::{
    self, BlockingError, Direction, EmbedderInput, EmbedderOutput, EndSignal, Interest, Listener,
    Ready, StreamKind,
};
use crate::error::Result;
use crate::guest_io::GuestBufs;
use rustix::net::SocketType;
use rustix::net::sockopt::socket_type;
use std::sync::Arc;

/// A stream as the guest sees it: where the bytes go, and in which directions.
pub(crate) struct Stream {
    pub(crate) source: Source,
    readable: bool,
    writable: bool,
    /// Orders the writes of tasks, which do not hold a thread while they wait.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// What is behind a stream.
pub(crate) enum Source {
    /// Reads find the end at once, writes are swallowed. What a context has where nothing was configured.
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
pub(crate) enum Readiness<'a> {
    /// It always is.
    Always,
    /// By `poll(2)`.
    Poll(Interest<'a>),
    /// By a future of the embedder's.
    Future(Ready<'a>),
}

impl Stream {
    pub(crate) fn input(source: Source) -> Self {
        Self {
            source,
            readable: true,
            writable: false,
            turn: Arc::default(),
        }
    }

    pub(crate) fn output(source: Source) -> Self {
        Self {
            source,
            readable: false,
            writable: true,
            turn: Arc::default(),
        }
    }

    /// A connected socket, or another stream that goes both ways or is limited to one by the embedder.
    pub(crate) fn duplex(host: blocking::Stream, readable: bool, writable: bool) -> Self {
        Self {
            source: Source::Host(host),
            readable,
            writable,
            turn: Arc::default(),
        }
    }

    pub(crate) fn listener(listener: Listener) -> Self {
        Self {
            source: Source::Listener(listener),
            readable: false,
            writable: false,
            turn: Arc::default(),
        }
    }

    /// Whoever holds it is the one task that writes.
    pub(crate) fn turn(&self) -> &Arc<tokio::sync::Mutex<()>> {
        &self.turn
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
            _ => {}
        }
        rights
    }

    /// A terminal is a character device and a socket is one; everything else has no type, so that a C library does not
    /// take it for one.
    pub(crate) fn file_type(&self) -> Filetype {
        let terminal = match &self.source {
            Source::Host(host) if host.kind() == StreamKind::Socket => {
                return match socket_type(host) {
                    Ok(SocketType::DGRAM) => Filetype::SocketDgram,
                    _ => Filetype::SocketStream,
                };
            }
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

    /// `badf` for a direction the stream does not have. A listener is polled for reading: a connection.
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
            // Nothing asked for is nothing to wait for; an empty receive on a socket would wait.
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

    /// How to find out that the stream is ready for `direction`.
    pub(crate) fn readiness(&self, direction: Direction) -> Readiness<'_> {
        match &self.source {
            Source::Null => Readiness::Always,
            Source::Host(host) => match host.interest(direction) {
                Some(interest) => Readiness::Poll(interest),
                None => Readiness::Always,
            },
            Source::Listener(listener) => Readiness::Poll(listener.interest()),
            Source::Input(input) => Readiness::Future(input.ready()),
            Source::Output(output) => Readiness::Future(output.ready()),
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
