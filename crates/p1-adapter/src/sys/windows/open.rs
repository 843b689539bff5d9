//! Opening what another descriptor stands for, and naming an object without opening it. Neither is
//! possible here.

use super::errno::Errno;
use super::fd::{BorrowedFd, OwnedFd};
use super::file::OFlags;
use std::ffi::OsStr;
use std::io;

/// What was written is on the disk before a write returns.
pub(crate) const DSYNC: OFlags = OFlags::DSYNC;

/// Nothing asks for that.
pub(crate) const RSYNC: OFlags = OFlags::empty();

/// There are no FIFOs in directories.
pub(crate) fn open_again(_: BorrowedFd<'_>, _: OFlags) -> Result<OwnedFd, Errno> {
    Err(Errno::OPNOTSUPP)
}

/// No handle says whether its calls wait.
pub(crate) fn reopen(_: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// wasmtime-wasi opens every directory to be read.
pub(crate) fn is_refused(_: BorrowedFd<'_>) -> bool {
    false
}

/// Nothing to name an object with.
pub(crate) fn anchor(_: BorrowedFd<'_>, _: &OsStr) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
