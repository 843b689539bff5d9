//! What a call can end with: an errno for the guest, or a trap for the host.

use super::errno;
use super::types::Errno;
use crate::blocking::{BlockingError, Interrupted};
use crate::sys::errno::Errno as Os;
use wasmtime_wasi::I32Exit;
use wiggle::GuestError;

/// The code of a guest that called `proc_exit`, all 32 bits of it; `None` for another error. The
/// error may have context around it. It is for `wasi_threads::GroupBuilder::exit_code`, or for a
/// `match` on the error of a call of an export.
///
/// ```
/// # use p1_adapter::exit_code;
/// let error = wasmtime::Error::from(p1_adapter::I32Exit(7)).context("in a thread");
/// assert_eq!(exit_code(&error), Some(7));
/// assert_eq!(exit_code(&wasmtime::Error::msg("another")), None);
/// ```
pub fn exit_code(error: &wasmtime::Error) -> Option<i32> {
    error.downcast_ref::<I32Exit>().map(|exit| exit.0)
}

/// The trap that `proc_raise` ends with if the signal's default action terminates the process.
///
/// The library never ends the host process; what a terminating signal means is the embedder's
/// choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the guest raised signal {name} ({number})")]
pub struct Raised {
    /// The signal's number in WASI preview1's `signal` type.
    pub number: u8,
    /// The signal's name as POSIX writes it, such as `SIGABRT`.
    pub name: &'static str,
}

/// The trap that `random_get` ends with when it is asked for more than
/// [`P1CtxBuilder::max_random_size`](crate::P1CtxBuilder::max_random_size).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("random_get asked for {asked} bytes, the limit is {limit}")]
#[non_exhaustive]
pub struct TooMuchRandom {
    /// Bytes that were asked for.
    pub asked: u32,
    /// Bytes that one call may ask for.
    pub limit: u32,
}

/// Why a [`P1Ctx`](crate::P1Ctx) could not be made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A directory to preopen could not be opened.
    #[error("cannot open directory `{path}`")]
    Preopen {
        /// The host path as given.
        path: std::path::PathBuf,
        /// What the operating system (or wasmtime-wasi) said.
        source: wasmtime::Error,
    },
    /// A standard stream could not be set up.
    #[error("cannot set up standard stream {fd}")]
    Stdio {
        /// The guest's descriptor number, 0 to 2.
        fd: u32,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// An argument or environment string holds a NUL byte, which preview1 cannot express.
    #[error("{what} contains a NUL byte: {value:?}")]
    Nul {
        /// `argument` or `environment variable`.
        what: &'static str,
        /// The offending string.
        value: String,
    },
    /// Arguments or environment exceed the 4 GiB that preview1 can describe.
    #[error("{what} are larger than 4 GiB")]
    TooLarge {
        /// `arguments` or `environment variables`.
        what: &'static str,
    },
    /// More descriptors than
    /// [`P1CtxBuilder::max_descriptors`](crate::P1CtxBuilder::max_descriptors) allows.
    #[error("no descriptor number is free below the limit of {limit}")]
    TooManyDescriptors {
        /// The limit in force.
        limit: u32,
    },
    /// A call of the guest is just opening something under the number that a descriptor was to get.
    #[error("the guest opens something under the number {number}")]
    NumberTaken {
        /// The number.
        number: u32,
    },
    /// The operating system refused something else that is needed.
    #[error("{what}")]
    Os {
        /// What was being done.
        what: &'static str,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// The one error type inside the crate.
#[derive(Debug)]
pub(crate) enum Error {
    /// The guest gets this number.
    Errno(Errno),
    /// The guest is stopped; the host gets this.
    Trap(Box<wasmtime::Error>),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    #[cold]
    pub(crate) fn trap(error: impl Into<wasmtime::Error>) -> Self {
        Self::Trap(Box::new(error.into()))
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Os> for Error {
    fn from(errno: Os) -> Self {
        Self::Errno(errno::of_os(errno))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Errno(errno::of_io_error(&error))
    }
}

impl From<Interrupted> for Error {
    #[cold]
    fn from(interrupted: Interrupted) -> Self {
        Self::trap(wasmtime::Error::new(interrupted))
    }
}

impl From<BlockingError> for Error {
    fn from(error: BlockingError) -> Self {
        match error {
            BlockingError::Interrupted(interrupted) => interrupted.into(),
            BlockingError::Io(error) => error.into(),
            BlockingError::Hook(error) | BlockingError::Stream(error) => Self::trap(error),
        }
    }
}

impl From<std::num::TryFromIntError> for Error {
    fn from(_: std::num::TryFromIntError) -> Self {
        Self::Errno(Errno::Overflow)
    }
}

/// A pointer outside the memory or misaligned is a trap (witx-docs, "Pointers"); bad contents are
/// an errno.
impl From<GuestError> for Error {
    #[cold]
    fn from(error: GuestError) -> Self {
        match error {
            GuestError::InvalidFlagValue(_) | GuestError::InvalidEnumValue(_) => {
                Self::Errno(Errno::Inval)
            }
            GuestError::InvalidUtf8(_) => Self::Errno(Errno::Ilseq),
            GuestError::TryFromIntError(_) => Self::Errno(Errno::Overflow),
            GuestError::SliceLengthsDiffer => Self::Errno(Errno::Fault),
            GuestError::InFunc { err, .. } => Self::from(*err),
            GuestError::PtrOverflow
            | GuestError::PtrOutOfBounds(_)
            | GuestError::PtrNotAligned(..) => Self::trap(wasmtime::Error::new(error)),
        }
    }
}

impl From<wasmtime_wasi::p2::FsError> for Error {
    fn from(error: wasmtime_wasi::p2::FsError) -> Self {
        match error.downcast() {
            Ok(code) => Self::Errno(errno::of_error_code(code)),
            Err(trap) => Self::trap(trap),
        }
    }
}
