//! Opening what another descriptor stands for, through `/proc/self/fd`, and naming an object
//! without opening it.

use rustix::fd::{AsRawFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;

/// `O_DSYNC`, of all architectures that wasm is compiled for. (rustix calls `O_SYNC` so, which says
/// more.)
#[cfg(target_os = "linux")]
pub(crate) const DSYNC: OFlags = OFlags::from_bits_retain(0o10_000);

/// `O_DSYNC`.
#[cfg(not(target_os = "linux"))]
pub(crate) const DSYNC: OFlags = OFlags::DSYNC;

/// `O_RSYNC`.
#[cfg(target_os = "linux")]
pub(crate) const RSYNC: OFlags = OFlags::RSYNC;

/// Nothing asks for that.
#[cfg(not(target_os = "linux"))]
pub(crate) const RSYNC: OFlags = OFlags::empty();

/// A description of its own for what `fd` stands for, whatever its name is now.
pub(crate) fn open_again(fd: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::open(path, flags, Mode::empty())
}

/// A non-blocking description of our own for the pipe or terminal `fd`, with the same access mode.
///
/// The caller has made sure that `fd` is a pipe or a terminal: opening other devices anew has side
/// effects (a pty master would come back as a *new* pty).
#[cfg(target_os = "linux")]
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use rustix::fs::{fcntl_getfl, fstat};
    let access = fcntl_getfl(fd)? & OFlags::ACCMODE;
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = open_again(fd, flags)?;
    let (theirs, found) = (fstat(fd)?, fstat(&ours)?);
    // `/proc` may be another file system (a bind mount, a chroot).
    if (theirs.st_dev, theirs.st_ino, theirs.st_rdev) == (found.st_dev, found.st_ino, found.st_rdev)
    {
        Ok(ours)
    } else {
        Err(Errno::NXIO.into())
    }
}

/// `/dev/fd/N` duplicates on most other systems, which shares the flags: not attempted.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen(_fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Whether the directory `dir` is only named (`O_PATH`), and the system refuses that it is opened
/// to be read. Without `/proc` that is not known, and false.
#[cfg(target_os = "linux")]
pub(crate) fn is_refused(dir: BorrowedFd<'_>) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::fcntl_getfl(dir).is_ok_and(|is| is.contains(OFlags::PATH))
        && matches!(open_again(dir, flags), Err(Errno::ACCESS))
}

/// Nothing is only named.
#[cfg(not(target_os = "linux"))]
pub(crate) fn is_refused(_dir: BorrowedFd<'_>) -> bool {
    false
}

/// An `O_PATH` descriptor of what is called `name` in `directory`: it names the object and does not
/// open it. A symbolic link is not followed.
#[cfg(target_os = "linux")]
pub(crate) fn anchor(directory: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(directory, name, flags, Mode::empty())?)
}

/// Nothing to name an object with.
#[cfg(not(target_os = "linux"))]
pub(crate) fn anchor(_directory: BorrowedFd<'_>, _name: &OsStr) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
