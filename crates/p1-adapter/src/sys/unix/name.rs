//! Names in a directory. None is followed: what is at a name that is a link is the link.
//!
//! A name is one component that is neither `.` nor `..`: the callers see to that.

use super::file::{FileType, OFlags};
use super::time::{NewTime, timestamps};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Whether the system takes a name as one, whatever is in it but `/` and NUL.
pub(crate) const TAKES_NAMES: bool = true;

/// The longest path, with the NUL behind it: Linux's `PATH_MAX`. Systems with a shorter limit
/// refuse by themselves.
pub(crate) const PATH_MAX: usize = 4096;

/// What is new may be used by all that the process's mask allows.
const FILES: Mode = Mode::from_raw_mode(0o666);
const DIRECTORIES: Mode = Mode::from_raw_mode(0o777);

/// What the system says where a link was found that it was told not to follow. FreeBSD says
/// `EMLINK`.
pub(crate) const IS_LINK: [Errno; 2] = [Errno::LOOP, Errno::MLINK];

/// Of what type it is.
pub(crate) fn file_type(dir: BorrowedFd<'_>, name: &str) -> Result<FileType, Errno> {
    let found = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(found.st_mode))
}

/// Where the link leads.
pub(crate) fn read_link(dir: BorrowedFd<'_>, name: &str) -> Result<CString, Errno> {
    rustix::fs::readlinkat(dir, name, Vec::new())
}

/// Sets its times.
pub(crate) fn set_times(
    dir: BorrowedFd<'_>,
    name: &str,
    access: NewTime,
    modification: NewTime,
) -> Result<(), Errno> {
    let times = timestamps(access, modification);
    rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

/// Makes a directory.
pub(crate) fn create_directory(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    rustix::fs::mkdirat(dir, name, DIRECTORIES)
}

/// Removes a directory that is empty.
pub(crate) fn remove_directory(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
}

/// Removes the name of what is no directory.
pub(crate) fn remove_file(dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, name, AtFlags::empty())
}

/// Makes a link that leads to `target`.
pub(crate) fn symlink(target: &str, dir: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    rustix::fs::symlinkat(target, dir, name)
}

/// Gives what has the first name the second as well.
pub(crate) fn link(
    (dir, name): (BorrowedFd<'_>, &str),
    (to, new): (BorrowedFd<'_>, &str),
) -> Result<(), Errno> {
    rustix::fs::linkat(dir, name, to, new, AtFlags::empty())
}

/// Gives what has the first name the second instead. What had that is gone, in the same step.
pub(crate) fn rename(
    (dir, name): (BorrowedFd<'_>, &str),
    (to, new): (BorrowedFd<'_>, &str),
) -> Result<(), Errno> {
    rustix::fs::renameat(dir, name, to, new)
}

/// Opens it, as `flags` say.
pub(crate) fn open(dir: BorrowedFd<'_>, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, name, flags, FILES)
}

/// The directory `dir` itself anew, to be read: for what cannot be done with one that is good for
/// paths only.
pub(crate) fn reopen_directory(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, c".", flags, Mode::empty())
}

/// Sets the times of the directory `dir` itself, which may be good for paths only.
pub(crate) fn set_times_of_directory(
    dir: BorrowedFd<'_>,
    access: NewTime,
    modification: NewTime,
) -> Result<(), Errno> {
    let times = timestamps(access, modification);
    rustix::fs::utimensat(dir, c".", &times, AtFlags::empty())
}
