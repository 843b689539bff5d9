//! The calls on buffers in guest memory: vectored system calls straight on it. What the buffers
//! are, and why these calls may be made on memory that others write, is said in [`super`].

#![allow(unsafe_code)]

use super::Iovecs;
use rustix::io::Errno;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// One buffer.
pub(super) type IoVec = libc::iovec;

/// The calls on one buffer, and those whose offsets have 64 bits.
///
/// The C library's own are points where POSIX has a thread cancelled. In a process that has threads
/// each of them pays for that with two locked exchanges. No thread of a guest's is cancelled so,
/// and these calls are made without them.
#[cfg(target_os = "linux")]
mod system {
    use libc::{SYS_pread64, SYS_pwrite64, SYS_read, SYS_recvfrom, SYS_sendto, SYS_write};
    use libc::{c_int, c_void, size_t, ssize_t, syscall};
    pub(super) use libc::{off64_t as Offset, preadv64 as preadv, pwritev64 as pwritev};

    /// # Safety
    ///
    /// As for `read(2)`.
    pub(super) unsafe fn read(fd: c_int, at: *mut c_void, len: size_t) -> ssize_t {
        // SAFETY: the caller's.
        unsafe { syscall(SYS_read, fd, at, len) as ssize_t }
    }

    /// # Safety
    ///
    /// As for `write(2)`.
    pub(super) unsafe fn write(fd: c_int, at: *const c_void, len: size_t) -> ssize_t {
        // SAFETY: the caller's.
        unsafe { syscall(SYS_write, fd, at, len) as ssize_t }
    }

    /// # Safety
    ///
    /// As for `pread(2)`.
    pub(super) unsafe fn pread(fd: c_int, at: *mut c_void, len: size_t, offset: Offset) -> ssize_t {
        // SAFETY: the caller's. A register holds the whole offset (`check_bounds` asserts 64 bits).
        unsafe { syscall(SYS_pread64, fd, at, len, offset) as ssize_t }
    }

    /// # Safety
    ///
    /// As for `pwrite(2)`.
    pub(super) unsafe fn pwrite(
        fd: c_int,
        at: *const c_void,
        len: size_t,
        offset: Offset,
    ) -> ssize_t {
        // SAFETY: the caller's; see `pread`.
        unsafe { syscall(SYS_pwrite64, fd, at, len, offset) as ssize_t }
    }

    /// # Safety
    ///
    /// As for `recv(2)`.
    pub(super) unsafe fn recv(fd: c_int, at: *mut c_void, len: size_t, flags: c_int) -> ssize_t {
        let none = std::ptr::null_mut::<c_void>();
        // SAFETY: the caller's; no address is asked for.
        unsafe { syscall(SYS_recvfrom, fd, at, len, flags, none, none) as ssize_t }
    }

    /// # Safety
    ///
    /// As for `send(2)`.
    pub(super) unsafe fn send(fd: c_int, at: *const c_void, len: size_t, flags: c_int) -> ssize_t {
        let none = std::ptr::null::<c_void>();
        // SAFETY: the caller's; no address is given.
        unsafe { syscall(SYS_sendto, fd, at, len, flags, none, 0) as ssize_t }
    }
}

/// The C library's calls, whose offsets have 64 bits: there are no others.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) use libc::{
        off_t as Offset, pread, preadv, pwrite, pwritev, read, recv, send, write,
    };
}

impl Iovecs<'_> {
    fn count(&self) -> libc::c_int {
        self.list.len() as libc::c_int
    }

    /// One system call: `one` where there is one buffer, with which the kernel is quicker than with
    /// a list of one.
    #[inline]
    fn call(
        &self,
        one: impl FnOnce(*mut libc::c_void, libc::size_t) -> libc::ssize_t,
        many: impl FnOnce(*const libc::iovec, libc::c_int) -> libc::ssize_t,
    ) -> Result<usize, Errno> {
        result(match self.list[..] {
            [buf] => one(buf.iov_base, buf.iov_len),
            _ => many(self.list.as_ptr(), self.count()),
        })
    }

    /// `readv(2)`: reads at the description's own cursor.
    pub(crate) fn read(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let fd = fd.as_raw_fd();
        self.call(
            // SAFETY: every iovec lies inside the memory borrowed for 'm (checked in `add`
            // or `one`, narrowed only in `part`). A linear memory's pages stay mapped for as long
            // as the memory is borrowed, and a shared one's never move. No reference to the bytes
            // exists while the kernel writes them: an unshared memory is borrowed mutably by this
            // value, and a shared one is only ever seen through `UnsafeCell`. `fd` is open for the
            // duration of the call.
            |at, len| unsafe { system::read(fd, at, len) },
            // SAFETY: the same; the list lives across the call.
            |list, count| unsafe { libc::readv(fd, list, count) },
        )
    }

    /// `writev(2)`: writes at the description's own cursor, or at the end with `O_APPEND`.
    pub(crate) fn write(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let fd = fd.as_raw_fd();
        self.call(
            // SAFETY: as for `read`; the kernel only reads the bytes.
            |at, len| unsafe { system::write(fd, at, len) },
            // SAFETY: as for `read`; the kernel only reads the bytes.
            |list, count| unsafe { libc::writev(fd, list, count) },
        )
    }

    /// As [`write`](Self::write): `O_APPEND` is the system's to heed.
    pub(crate) fn append(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.write(fd)
    }

    /// `preadv(2)`.
    pub(crate) fn read_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        let (fd, offset) = (fd.as_raw_fd(), offset_of(offset)?);
        self.call(
            // SAFETY: as for `read`.
            |at, len| unsafe { system::pread(fd, at, len, offset) },
            // SAFETY: as for `read`.
            |list, count| unsafe { system::preadv(fd, list, count, offset) },
        )
    }

    /// `pwritev(2)`. With `O_APPEND` Linux appends whatever the offset says.
    pub(crate) fn write_at(&self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        let (fd, offset) = (fd.as_raw_fd(), offset_of(offset)?);
        self.call(
            // SAFETY: as for `write`.
            |at, len| unsafe { system::pwrite(fd, at, len, offset) },
            // SAFETY: as for `write`.
            |list, count| unsafe { system::pwritev(fd, list, count, offset) },
        )
    }

    /// `preadv2(2)` at the description's cursor, with `RWF_NOWAIT`.
    #[cfg(target_os = "linux")]
    pub(crate) fn read_nowait(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let (fd, count, flag) = (fd.as_raw_fd(), self.count(), libc::RWF_NOWAIT);
        // SAFETY: as for `read`; offset -1 is the description's cursor.
        result(unsafe { libc::preadv2(fd, self.list.as_ptr(), count, -1, flag) })
    }

    /// `pwritev2(2)` at the description's cursor, with `RWF_NOWAIT`.
    #[cfg(target_os = "linux")]
    pub(crate) fn write_nowait(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let (fd, count, flag) = (fd.as_raw_fd(), self.count(), libc::RWF_NOWAIT);
        // SAFETY: as for `write`; offset -1 is the description's cursor.
        result(unsafe { libc::pwritev2(fd, self.list.as_ptr(), count, -1, flag) })
    }

    /// No such call.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn read_nowait(&self, _: BorrowedFd<'_>) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// No such call.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn write_nowait(&self, _: BorrowedFd<'_>) -> Result<usize, Errno> {
        Err(Errno::OPNOTSUPP)
    }

    /// `recvmsg(2)` with `MSG_DONTWAIT`, and `MSG_PEEK` if asked for; also says whether a record
    /// was cut short, if `records` says that the socket has such. Of bytes into one buffer
    /// `recv(2)` says as much, for less.
    pub(crate) fn recv(
        &self,
        fd: BorrowedFd<'_>,
        peek: bool,
        records: bool,
    ) -> Result<(usize, bool), Errno> {
        let flags = libc::MSG_DONTWAIT | if peek { libc::MSG_PEEK } else { 0 };
        if let ([buf], false) = (&self.list[..], records) {
            // SAFETY: as for `read`.
            let n = unsafe { system::recv(fd.as_raw_fd(), buf.iov_base, buf.iov_len, flags) };
            return Ok((result(n)?, false));
        }
        let mut header = self.header();
        // SAFETY: as for `read`; the header names no address and no control buffer, and lives
        // across the call.
        let n = result(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })?;
        Ok((n, header.msg_flags & libc::MSG_TRUNC != 0))
    }

    /// `send(2)` of one buffer, `sendmsg(2)` of others, with `MSG_DONTWAIT`; never raises
    /// `SIGPIPE`.
    pub(crate) fn send(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
        if let [buf] = &self.list[..] {
            // SAFETY: as for `write`.
            return result(unsafe {
                system::send(fd.as_raw_fd(), buf.iov_base, buf.iov_len, flags)
            });
        }
        let header = self.header();
        // SAFETY: as for `write`; the header names no address and no control buffer, and lives
        // across the call.
        result(unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const header, flags) })
    }

    fn header(&self) -> libc::msghdr {
        // SAFETY: `msghdr` is a C structure of integers and pointers, for which all zeroes is a
        // value: no name, no buffers, no control data, no flags.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        // sendmsg does not write through the list, recvmsg only through the pointers in it.
        header.msg_iov = self.list.as_ptr().cast_mut();
        header.msg_iovlen = self.list.len() as _;
        header
    }

    /// `getrandom(2)` into the first buffer.
    #[cfg(not(target_vendor = "apple"))]
    pub(crate) fn random(&self) -> Result<usize, Errno> {
        self.list.first().map_or(Ok(0), |buf| {
            // SAFETY: as for `read`.
            result(unsafe { libc::getrandom(buf.iov_base, buf.iov_len, 0) })
        })
    }

    /// `getentropy(2)` into the first buffer, which gives 256 bytes at most.
    #[cfg(target_vendor = "apple")]
    pub(crate) fn random(&self) -> Result<usize, Errno> {
        self.list.first().map_or(Ok(0), |buf| {
            let len = buf.iov_len.min(256);
            // SAFETY: as for `read`.
            let returned = unsafe { libc::getentropy(buf.iov_base, len) };
            result(returned as libc::ssize_t).map(|_| len)
        })
    }
}

/// The result of one system call. Not repeated when a signal interrupts it.
fn result(returned: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| {
        let error = std::io::Error::last_os_error();
        Errno::from_io_error(&error).unwrap_or(Errno::IO)
    })
}

fn offset_of(offset: u64) -> Result<system::Offset, Errno> {
    system::Offset::try_from(offset).map_err(|_| Errno::INVAL)
}
