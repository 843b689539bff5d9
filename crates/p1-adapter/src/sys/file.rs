//! Where an open file's bytes lie.

use rustix::fs::{Advice, FallocateFlags};
use rustix::io::Errno;
use std::num::NonZeroU64;
use std::os::fd::BorrowedFd;

/// `posix_fadvise(3)`. A `len` of 0 is up to the end.
pub(crate) fn advise(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    advice: Advice,
) -> Result<(), Errno> {
    rustix::fs::fadvise(fd, offset, NonZeroU64::new(len), advice)
}

/// `posix_fallocate(3)`, without its emulation: `EOPNOTSUPP` where the file system cannot.
pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len)
}
