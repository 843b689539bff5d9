//! Descriptors of this process, by their numbers.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

#[cfg(unix)]
use crate::sys::at_start;

/// The same open file, for writing, under another number: the original descriptor may be closed at
/// any time.
///
/// # Errors
///
/// That of a descriptor that is not open for writing, or was not when this process was started.
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
    let copy = File::from(unsafe { OwnedFd::from_raw_fd(copy) });
    match flags(&copy)? & libc::O_ACCMODE {
        libc::O_RDONLY => Err(io::Error::from_raw_os_error(libc::EBADF)),
        _ => Ok(copy),
    }
}

#[cfg(unix)]
fn flags(file: &File) -> io::Result<i32> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: the system reads or writes no memory.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) } {
        -1 => Err(io::Error::last_os_error()),
        flags => Ok(flags),
    }
}

/// Standard input, at its position, if it is a regular file.
///
/// # Errors
///
/// The system's.
pub(crate) fn regular_stdin() -> io::Result<Option<File>> {
    #[cfg(unix)]
    if !at_start::was_closed(0) {
        use std::os::fd::AsFd as _;
        let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        return Ok(file.metadata()?.is_file().then_some(file));
    }
    Ok(None)
}

/// Opens a FIFO to be written, if it has a reader.
///
/// # Errors
///
/// `ENXIO` if it has none.
#[cfg(unix)]
pub(crate) fn open_fifo(path: &Path) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let mut options = File::options();
    let file = options
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    // What is written waits for the reader.
    let waits = flags(&file)? & !libc::O_NONBLOCK;
    // SAFETY: the system reads or writes no memory.
    match unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFL, waits) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(file),
    }
}

/// Whether a FIFO has no reader, says this error of its opening.
#[cfg(unix)]
pub(crate) fn has_no_reader(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENXIO)
}

/// There are no FIFOs.
#[cfg(not(unix))]
pub(crate) fn open_fifo(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// There are no FIFOs.
#[cfg(not(unix))]
pub(crate) fn has_no_reader(_: &io::Error) -> bool {
    false
}

/// Descriptors have no numbers.
#[cfg(not(unix))]
pub(crate) fn duplicate(_: i32) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether `file` is a regular file that only its owner may write. Its owner must be this process's
/// user, or the superuser, which may write anything in any case.
#[cfg(unix)]
pub(crate) fn only_ours_to_write(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    /// The group, and all others. (Where there are lists of users, the group's part is the most
    /// that they allow.)
    const OTHERS_WRITE: u32 = 0o022;
    let found = file.metadata()?;
    // SAFETY: reads a number of this process's.
    let we = unsafe { libc::geteuid() };
    let owned = [0, we].contains(&found.uid());
    Ok(found.is_file() && owned && found.mode() & OTHERS_WRITE == 0)
}

/// Files that are mapped cannot be cut short.
#[cfg(not(unix))]
pub(crate) fn only_ours_to_write(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.is_file())
}
