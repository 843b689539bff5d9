//! Vectored system calls straight on guest memory: the one place of this crate with unsafe code.
//!
//! [`Iovecs`] is a list of buffers, every one of them checked against the bounds of the memory it
//! lies in. It borrows the memory, so it cannot outlive the mapping. Its methods are one system
//! call each; the kernel copies between its own buffers and the guest's pages, and Rust code never
//! looks at the bytes. (Two methods copy to and from the host's own memory, for an embedder's
//! streams.)
//!
//! Guest memory may be shared with other threads that write it at the same time. That is why raw
//! pointers are used throughout: no reference to guest bytes is ever formed, other than to one
//! atomic byte. The kernel's accesses are outside the Rust memory model, like those of any other
//! process that maps the pages.

#![allow(unsafe_code)]

use rustix::io::Errno;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use wiggle::{GuestError, GuestMemory, Region};

/// The calls whose offsets have 64 bits.
#[cfg(target_os = "linux")]
mod system {
    pub(super) use libc::{
        off64_t as Offset, pread64 as pread, preadv64 as preadv, pwrite64 as pwrite,
        pwritev64 as pwritev,
    };
}

/// The calls whose offsets have 64 bits: there are no others.
#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) use libc::{off_t as Offset, pread, preadv, pwrite, pwritev};
}

/// How many buffers one system call takes (`IOV_MAX` on Linux, FreeBSD and macOS).
pub(crate) const IOV_MAX: usize = 1024;

/// Buffers that are kept in place: C libraries and Rust's library give two at most, and a list of
/// four is moved in a few instructions.
const INLINE: usize = 4;

/// Buffers in guest memory, in the guest's order, for one vectored system call.
pub(crate) struct Iovecs<'m> {
    list: SmallVec<[libc::iovec; INLINE]>,
    memory: PhantomData<&'m ()>,
}

/// The first byte and the length of a memory. Nothing is dereferenced here.
fn base_of(memory: &mut GuestMemory<'_>) -> (*mut u8, usize) {
    match memory {
        GuestMemory::Unshared(bytes) => (bytes.as_mut_ptr(), bytes.len()),
        // `UnsafeCell<u8>` has the layout of `u8`, and writing through a pointer to it is what the
        // cell allows.
        GuestMemory::Shared(cells) => (cells.as_ptr().cast_mut().cast::<u8>(), cells.len()),
    }
}

/// Checks one buffer against a memory of `size` bytes.
pub(crate) fn check_bounds(size: usize, start: u32, len: u32) -> Result<(), GuestError> {
    // Neither addition can overflow: both are u32 values in a 64-bit usize.
    const { assert!(usize::BITS >= 64) };
    if start as usize + len as usize > size {
        return Err(GuestError::PtrOutOfBounds(Region { start, len }));
    }
    Ok(())
}

impl<'m> Iovecs<'m> {
    /// No buffers yet.
    pub(crate) fn none() -> Self {
        Self {
            list: SmallVec::new(),
            memory: PhantomData,
        }
    }

    /// Adds the buffers `(address, length)` in `memory`. In place: a list that comes back in a
    /// result is copied once for each function it comes through, 60 instructions each time
    /// (`scripts/bench-instructions.sh 3000 pread4k`).
    ///
    /// # Errors
    ///
    /// [`GuestError::PtrOutOfBounds`] when one of them reaches beyond the end of the memory.
    pub(crate) fn add(
        &mut self,
        memory: &'m mut GuestMemory<'_>,
        buffers: impl IntoIterator<Item = (u32, u32)>,
    ) -> Result<(), GuestError> {
        let (base, size) = base_of(memory);
        for (start, len) in buffers {
            check_bounds(size, start, len)?;
            // The offset was just found to lie inside the allocation.
            self.list.push(libc::iovec {
                iov_base: base.wrapping_add(start as usize).cast(),
                iov_len: len as usize,
            });
        }
        Ok(())
    }

    /// How many bytes the buffers hold together.
    pub(crate) fn len(&self) -> usize {
        self.list.iter().map(|buf| buf.iov_len).sum()
    }

    /// The bytes `range` of the whole, as if the buffers were laid end to end.
    pub(crate) fn part(&self, range: &Range<usize>) -> Iovecs<'m> {
        let (mut skip, mut left) = (range.start, range.len());
        let mut list = SmallVec::new();
        for buf in &self.list {
            let skipped = skip.min(buf.iov_len);
            skip -= skipped;
            let len = (buf.iov_len - skipped).min(left);
            left -= len;
            if len != 0 {
                // `skipped + len <= iov_len`, so the part stays inside the buffer.
                list.push(libc::iovec {
                    iov_base: buf.iov_base.cast::<u8>().wrapping_add(skipped).cast(),
                    iov_len: len,
                });
            }
        }
        Iovecs {
            list,
            memory: PhantomData,
        }
    }

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
            // SAFETY: every iovec lies inside the memory borrowed for 'm (checked in `add`,
            // narrowed only in `part`); a linear memory's pages stay mapped for as long as the
            // memory is borrowed, a shared one's never move; no reference to the bytes exists while
            // the kernel writes them: an unshared memory is borrowed mutably by this value, a
            // shared one is only ever seen through `UnsafeCell`. `fd` is open for the duration of
            // the call.
            |at, len| unsafe { libc::read(fd, at, len) },
            // SAFETY: the same; the list lives across the call.
            |list, count| unsafe { libc::readv(fd, list, count) },
        )
    }

    /// `writev(2)`: writes at the description's own cursor, or at the end with `O_APPEND`.
    pub(crate) fn write(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let fd = fd.as_raw_fd();
        self.call(
            // SAFETY: as for `read`; the kernel only reads the bytes.
            |at, len| unsafe { libc::write(fd, at, len) },
            // SAFETY: as for `read`; the kernel only reads the bytes.
            |list, count| unsafe { libc::writev(fd, list, count) },
        )
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

    /// `recvmsg(2)` with `MSG_DONTWAIT`, and `MSG_PEEK` if asked for; also says whether a datagram
    /// was cut short.
    pub(crate) fn recv(&self, fd: BorrowedFd<'_>, peek: bool) -> Result<(usize, bool), Errno> {
        let mut header = self.header();
        let flags = libc::MSG_DONTWAIT | if peek { libc::MSG_PEEK } else { 0 };
        // SAFETY: as for `read`; the header names no address and no control buffer, and lives
        // across the call.
        let n = result(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })?;
        Ok((n, header.msg_flags & libc::MSG_TRUNC != 0))
    }

    /// `sendmsg(2)` with `MSG_DONTWAIT`; never raises `SIGPIPE`.
    pub(crate) fn send(&self, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let header = self.header();
        let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
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

    /// Copies `bytes` into the buffers, in order, as far as both go. For bytes the host has in its
    /// own memory.
    pub(crate) fn fill(&self, bytes: &[u8]) {
        let mut rest = bytes;
        for buf in &self.list {
            let (now, later) = rest.split_at(rest.len().min(buf.iov_len));
            rest = later;
            let to = buf.iov_base.cast::<u8>();
            for (i, byte) in now.iter().enumerate() {
                // SAFETY: `i < iov_len`, so the address lies inside a buffer that `add` checked, in
                // pages that stay mapped while 'm lasts. The access is atomic, so a host thread
                // that does the same to the same shared memory does not race with it; guest code is
                // compiled code outside the Rust memory model. (wiggle's copies, of strings and of
                // small results, are not atomic: DESIGN.md, "Memory".) An `u8` has no alignment to
                // keep.
                unsafe { AtomicU8::from_ptr(to.wrapping_add(i)) }.store(*byte, Ordering::Relaxed);
            }
        }
    }

    /// A copy of all the bytes.
    pub(crate) fn copy_out(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len());
        for buf in &self.list {
            let from = buf.iov_base.cast::<u8>();
            for i in 0..buf.iov_len {
                // SAFETY: as for `fill`.
                let byte = unsafe { AtomicU8::from_ptr(from.wrapping_add(i)) };
                out.push(byte.load(Ordering::Relaxed));
            }
        }
        out
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
