//! Names in a directory: all are wasmtime-wasi's, which knows what the system makes of them (`a:b`,
//! `CON`, dots at the end). No caller gets here but those that are about a directory itself.

use super::errno::Errno;
use super::fd::{BorrowedFd, OwnedFd};
use super::file::{self, FileType, OFlags};
use super::time::NewTime;
use std::ffi::CString;

/// Whether the system takes a name as one, whatever is in it but `/` and NUL.
pub(crate) const TAKES_NAMES: bool = false;

/// The longest path is the system's to refuse.
pub(crate) const PATH_MAX: usize = usize::MAX;

/// What the system says where a link was found that it was told not to follow.
pub(crate) const IS_LINK: [Errno; 1] = [Errno::LOOP];

const ELSEWHERE: Errno = Errno::OPNOTSUPP;

pub(crate) fn file_type(_: BorrowedFd<'_>, _: &str) -> Result<FileType, Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn read_link(_: BorrowedFd<'_>, _: &str) -> Result<CString, Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn set_times(_: BorrowedFd<'_>, _: &str, _: NewTime, _: NewTime) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn create_directory(_: BorrowedFd<'_>, _: &str) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn remove_directory(_: BorrowedFd<'_>, _: &str) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn remove_file(_: BorrowedFd<'_>, _: &str) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn symlink(_: &str, _: BorrowedFd<'_>, _: &str) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn link(_: (BorrowedFd<'_>, &str), _: (BorrowedFd<'_>, &str)) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn rename(_: (BorrowedFd<'_>, &str), _: (BorrowedFd<'_>, &str)) -> Result<(), Errno> {
    Err(ELSEWHERE)
}

pub(crate) fn open(_: BorrowedFd<'_>, _: &str, _: OFlags) -> Result<OwnedFd, Errno> {
    Err(ELSEWHERE)
}

/// The directory `dir` itself anew, to be read.
pub(crate) fn reopen_directory(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    file::reopen_to_list(dir)
}

/// Sets the times of the directory `dir` itself.
pub(crate) fn set_times_of_directory(
    dir: BorrowedFd<'_>,
    access: NewTime,
    modification: NewTime,
) -> Result<(), Errno> {
    file::set_times(dir, access, modification)
}
