//! What makes a run depend on its host, by name.

use crate::abi::error::Result;
use crate::abi::types::{Errno, Filetype};
use crate::blocking::StreamKind;
use crate::descriptor::stream::{GuestStream, Source};
use crate::descriptor::{Descriptor, Kind};
use crate::sys::object::Object;
use std::fmt;

/// Something that differs on another host, or at another time: what a call uses, or its error. Told
/// to the hook of [`P1CtxBuilder::unrepeatable`](crate::P1CtxBuilder::unrepeatable).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unrepeatable {
    /// A socket is used: what comes, and when, is decided elsewhere.
    Socket,
    /// A FIFO is opened, or one is used that was opened by a path.
    Fifo,
    /// A device is opened or used that gives something of its own: a terminal opened by a path,
    /// `/dev/random`, a disk.
    Device,
    /// An error that the host's resources, other processes or its hardware cause, by POSIX's name,
    /// such as `ENOSPC`.
    Error(&'static str),
}

impl Unrepeatable {
    /// The name: `socket`, `fifo`, `device`, or that of the error.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Fifo => "fifo",
            Self::Device => "device",
            Self::Error(name) => name,
        }
    }

    /// What a stream is of these.
    pub(crate) fn of_stream(stream: &GuestStream) -> Option<Self> {
        let Source::Host(host) = &stream.source else {
            return matches!(stream.source, Source::Listener(_)).then_some(Self::Socket);
        };
        match (host.kind(), stream.opened()) {
            (StreamKind::Socket, _) => Some(Self::Socket),
            (StreamKind::Pipe, Some(_)) => Some(Self::Fifo),
            (StreamKind::Terminal, Some(_)) | (StreamKind::Other, _) => Some(Self::Device),
            _ => None,
        }
    }

    /// Which of these an opened object is, if any. FIFOs are found before they are opened.
    pub(crate) fn of_opened(opened: &Descriptor) -> Result<Option<Self>> {
        Ok(match opened.kind()? {
            Kind::Dir(_) | Kind::MadeFile(_) | Kind::MadeFolder(_) => None,
            Kind::Stream(stream) => Self::of_stream(stream),
            Kind::File(file) => match file.file_type() {
                Filetype::RegularFile => None,
                Filetype::CharacterDevice if Object::of(file.fd())?.is_constant() => None,
                _ => Some(Self::Device),
            },
        })
    }

    /// The error as one of these, unless the guest alone has caused it.
    pub(crate) fn of_errno(errno: Errno) -> Option<Self> {
        Some(Self::Error(match errno {
            Errno::Nospc => "ENOSPC",
            Errno::Dquot => "EDQUOT",
            Errno::Fbig => "EFBIG",
            Errno::Mfile => "EMFILE",
            Errno::Nfile => "ENFILE",
            Errno::Nomem => "ENOMEM",
            Errno::Nobufs => "ENOBUFS",
            Errno::Nolck => "ENOLCK",
            Errno::Pipe => "EPIPE",
            Errno::Io => "EIO",
            Errno::Nxio => "ENXIO",
            Errno::Nodev => "ENODEV",
            Errno::Txtbsy => "ETXTBSY",
            Errno::Busy => "EBUSY",
            Errno::Stale => "ESTALE",
            Errno::Intr => "EINTR",
            Errno::Timedout => "ETIMEDOUT",
            Errno::Again => "EAGAIN",
            Errno::Connreset => "ECONNRESET",
            Errno::Connaborted => "ECONNABORTED",
            _ => return None,
        }))
    }
}

impl fmt::Display for Unrepeatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket => f.write_str("a socket was used"),
            Self::Fifo => f.write_str("a FIFO was used"),
            Self::Device => f.write_str("a device was used"),
            Self::Error(name) => write!(f, "a call failed with {name}"),
        }
    }
}

/// The trap of a call that met what the hook of
/// [`P1CtxBuilder::unrepeatable`](crate::P1CtxBuilder::unrepeatable) does not let pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not to be repeated on another host: {0}")]
pub struct NotRepeatable(pub Unrepeatable);
