//! Descriptors of this process, by their numbers.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;

#[cfg(unix)]
use crate::sys::at_start;

/// The same open file under another number, as the one it has may be closed any time.
///
/// # Errors
///
/// That of a descriptor that is not open, or was not when this process was started.
#[cfg(unix)]
pub(crate) fn duplicate(number: i32) -> io::Result<File> {
    use std::os::fd::{FromRawFd as _, OwnedFd};

    /// Behind the standard streams.
    const FIRST: i32 = 3;
    if at_start::was_closed(number) {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the system checks the number, and reads or writes no memory.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, FIRST) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, new, and known here only.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(copy) }))
}

/// Descriptors have no numbers.
#[cfg(not(unix))]
pub(crate) fn duplicate(_: i32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}
