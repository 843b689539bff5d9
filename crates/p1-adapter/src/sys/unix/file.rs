//! An open file: its bytes, its flags, its times, its descriptor.
//!
//! Each function is one system call, made once: `EINTR` is the caller's to look at.

pub(crate) use rustix::fs::{FileType, OFlags, SeekFrom};

use super::time::{NewTime, timestamps};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The lowest number of a duplicate: behind the standard streams.
const FIRST: i32 = 3;

/// Whether the system itself appends what is written to a file that was told to (`O_APPEND`).
pub(crate) const KEEPS_APPEND: bool = true;

/// How a part of a file will be used.
#[derive(Clone, Copy)]
pub(crate) enum ExpectedUse {
    Normal,
    Sequential,
    Random,
    WillNeed,
    DontNeed,
    NoReuse,
}

/// `posix_fadvise(3)`. A `len` of 0 is up to the end.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn advise(
    fd: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    advice: ExpectedUse,
) -> Result<(), Errno> {
    use rustix::fs::Advice as To;
    let advice = match advice {
        ExpectedUse::Normal => To::Normal,
        ExpectedUse::Sequential => To::Sequential,
        ExpectedUse::Random => To::Random,
        ExpectedUse::WillNeed => To::WillNeed,
        ExpectedUse::DontNeed => To::DontNeed,
        ExpectedUse::NoReuse => To::NoReuse,
    };
    rustix::fs::fadvise(fd, offset, std::num::NonZeroU64::new(len), advice)
}

/// No such call: advice changes nothing that can be seen, and none is taken. What can take none is
/// refused as by the others.
#[cfg(target_vendor = "apple")]
pub(crate) fn advise(fd: BorrowedFd<'_>, _: u64, _: u64, _: ExpectedUse) -> Result<(), Errno> {
    rustix::fs::seek(fd, SeekFrom::Current(0)).map(drop)
}

/// `posix_fallocate(3)`, without its emulation: `EOPNOTSUPP` where the file system cannot.
pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: u64, len: u64) -> Result<(), Errno> {
    rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, len)
}

/// Makes what was written durable, and the attributes with it.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn sync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fsync(fd)
}

/// Makes what was written durable.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn sync_data(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::fs::fdatasync(fd)
}

/// Makes what was written durable, and the attributes with it. `fsync(2)` leaves it in the disk's
/// own memory here, and is taken where the file system has nothing better.
#[cfg(target_vendor = "apple")]
pub(crate) fn sync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    match rustix::fs::fcntl_fullfsync(fd) {
        Err(Errno::NOTSUP | Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => {
            rustix::fs::fsync(fd)
        }
        done => done,
    }
}

/// As [`sync`].
#[cfg(target_vendor = "apple")]
pub(crate) fn sync_data(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    sync(fd)
}

/// Cuts or grows it to `size` bytes.
pub(crate) fn set_size(fd: BorrowedFd<'_>, size: u64) -> Result<(), Errno> {
    rustix::fs::ftruncate(fd, size)
}

/// Moves the description's cursor; where it is then.
#[inline]
pub(crate) fn seek(fd: BorrowedFd<'_>, to: SeekFrom) -> Result<u64, Errno> {
    rustix::fs::seek(fd, to)
}

/// Sets the times of what is open.
pub(crate) fn set_times(
    fd: BorrowedFd<'_>,
    access: NewTime,
    modification: NewTime,
) -> Result<(), Errno> {
    rustix::fs::futimens(fd, &timestamps(access, modification))
}

/// The flags of the open file description: how it was opened, and what was set since.
#[inline]
pub(crate) fn flags(fd: impl AsFd) -> Result<OFlags, Errno> {
    rustix::fs::fcntl_getfl(fd)
}

/// Sets those flags of the description that can be changed, and clears the others of that kind.
#[inline]
pub(crate) fn set_flags(fd: impl AsFd, flags: OFlags) -> Result<(), Errno> {
    rustix::fs::fcntl_setfl(fd, flags)
}

/// Makes calls on the description fail with `EAGAIN` where they would wait, whatever it is of;
/// whether they do from then on.
pub(crate) fn never_wait(fd: impl AsFd) -> Result<bool, Errno> {
    set_flags(&fd, flags(&fd)? | OFlags::NONBLOCK)?;
    Ok(true)
}

/// Makes calls on the description fail with `EAGAIN` where they would wait.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(fd, true)
}

/// How many bytes a read would find now, where the system can say.
pub(crate) fn readable_bytes(fd: impl AsFd) -> Result<u64, Errno> {
    rustix::io::ioctl_fionread(fd)
}

/// Another descriptor of the same description, close-on-exec.
pub(crate) fn duplicate(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, FIRST)
}

/// Whether the process may have one more descriptor; `fd` is any that is open.
pub(crate) fn check_descriptor_left(fd: impl AsFd) -> Result<(), Errno> {
    rustix::io::fcntl_dupfd_cloexec(fd, 0).map(drop)
}
