//! System calls straight on guest memory: the one place of this crate with unsafe code.
//!
//! [`GuestBufs`] is a guest's list of buffers, every one of them checked against the bounds of the memory it lies in.
//! It borrows the memory, so it cannot outlive the mapping. Its methods are one vectored system call each; the kernel
//! copies between its own buffers and the guest's pages, and Rust code never looks at the bytes. (Two methods copy
//! to and from the host's own memory, for an embedder's streams.)
//!
//! Guest memory may be shared with other threads that write it at the same time. That is why raw pointers are used
//! throughout: no reference to guest bytes is ever formed, other than to one atomic byte. The kernel's accesses are outside the Rust memory model,
//! like those of any other process that maps the pages.

#![allow(unsafe_code)]

use crate::abi::error::Result;
use crate::blocking::{EndSignal, Manner};
use rustix::io::Errno as Os;
use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};
use wiggle::{GuestError, GuestMemory, Region};

/// How many buffers one system call takes (`IOV_MAX` on Linux).
const IOV_MAX: usize = 1024;

/// How many bytes one call transfers (`MAX_RW_COUNT` on Linux): a count of them fits into a guest's `size`, also where the
/// call is made of several transfers.
const TRANSFER_MAX: usize = 0x7fff_f000;

/// The random bytes between two looks at the end signal.
const RANDOM_CHUNK: usize = 1 << 20;

/// A guest's list of buffers, copied out of its memory: `(address, length)`.
///
/// Empty buffers are left out. Of a longer list only the first 1024 take part, and of more bytes than 2 GiB less a page
/// only those: the call then transfers less than was asked for, which every caller of `fd_read` and `fd_write` must expect
/// anyway.
#[derive(Default)]
pub(crate) struct BufferList {
    pairs: SmallVec<[(u32, u32); 8]>,
    bytes: usize,
    cut: bool,
}

impl BufferList {
    /// Adds a buffer of a memory of `size` bytes.
    ///
    /// # Errors
    ///
    /// A trap when it reaches beyond the end of the memory, whether it takes part or not; the address of an empty one does
    /// not matter.
    pub(crate) fn add(&mut self, size: usize, start: u32, len: u32) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        check(size, start, len)?;
        let taken = (len as usize).min(TRANSFER_MAX - self.bytes);
        if taken == 0 || self.pairs.len() == IOV_MAX {
            self.cut = true;
            return Ok(());
        }
        self.cut |= taken < len as usize;
        self.bytes += taken;
        self.pairs.push((start, taken as u32));
        Ok(())
    }
}

/// Buffers in guest memory, in the guest's order, for one vectored system call.
pub(crate) struct GuestBufs<'m> {
    bufs: SmallVec<[libc::iovec; 8]>,
    cut: bool,
    memory: PhantomData<&'m ()>,
}

/// The first byte and the length of a memory. Nothing is dereferenced here.
fn base_of(memory: &mut GuestMemory<'_>) -> (*mut u8, usize) {
    match memory {
        GuestMemory::Unshared(bytes) => (bytes.as_mut_ptr(), bytes.len()),
        // `UnsafeCell<u8>` has the layout of `u8`, and writing through a pointer to it is what the cell allows.
        GuestMemory::Shared(cells) => (cells.as_ptr().cast_mut().cast::<u8>(), cells.len()),
    }
}

/// Checks one buffer against a memory of `size` bytes.
fn check(size: usize, start: u32, len: u32) -> Result<(), GuestError> {
    // Neither addition can overflow: both are u32 values in a 64-bit usize.
    const { assert!(usize::BITS >= 64) };
    if start as usize + len as usize > size {
        return Err(GuestError::PtrOutOfBounds(Region { start, len }));
    }
    Ok(())
}

impl<'m> GuestBufs<'m> {
    /// The buffers of `list` in `memory`, which may be another one than the list was made for, or have grown.
    ///
    /// # Errors
    ///
    /// A trap when one of them reaches beyond the end of the memory.
    pub(crate) fn new(memory: &'m mut GuestMemory<'_>, list: &BufferList) -> Result<Self> {
        let (base, size) = base_of(memory);
        let mut out = SmallVec::new();
        for (start, len) in &list.pairs {
            check(size, *start, *len)?;
            // The offset was just found to lie inside the allocation.
            out.push(libc::iovec {
                iov_base: base.wrapping_add(*start as usize).cast(),
                iov_len: *len as usize,
            });
        }
        Ok(Self {
            bufs: out,
            cut: list.cut,
            memory: PhantomData,
        })
    }

    /// One buffer, of any length.
    ///
    /// # Errors
    ///
    /// A trap when it reaches beyond the end of the memory; the address of an empty one does not matter.
    pub(crate) fn one(memory: &'m mut GuestMemory<'_>, start: u32, len: u32) -> Result<Self> {
        let (base, size) = base_of(memory);
        let mut out = SmallVec::new();
        if len != 0 {
            check(size, start, len)?;
            // As in `new`.
            out.push(libc::iovec {
                iov_base: base.wrapping_add(start as usize).cast(),
                iov_len: len as usize,
            });
        }
        Ok(Self {
            bufs: out,
            cut: false,
            memory: PhantomData,
        })
    }

    /// Whether the guest's list had more than takes part.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many bytes the buffers hold together.
    pub(crate) fn len(&self) -> usize {
        self.bufs.iter().map(|buf| buf.iov_len).sum()
    }

    /// The bytes `range` as buffers of their own.
    pub(crate) fn slice(&self, range: &Range<usize>) -> GuestBufs<'m> {
        GuestBufs {
            bufs: self.part(range),
            cut: false,
            memory: PhantomData,
        }
    }

    /// The bytes `range` of the whole, as if the buffers were laid end to end.
    fn part(&self, range: &Range<usize>) -> SmallVec<[libc::iovec; 8]> {
        let (mut skip, mut left) = (range.start, range.len());
        let mut out = SmallVec::new();
        for buf in &self.bufs {
            let skipped = skip.min(buf.iov_len);
            skip -= skipped;
            let len = (buf.iov_len - skipped).min(left);
            left -= len;
            if len != 0 {
                // `skipped + len <= iov_len`, so the part stays inside the buffer.
                out.push(libc::iovec {
                    iov_base: buf.iov_base.cast::<u8>().wrapping_add(skipped).cast(),
                    iov_len: len,
                });
            }
        }
        out
    }

    fn count(&self) -> libc::c_int {
        self.bufs.len() as libc::c_int
    }

    /// `readv(2)`: reads at the description's own cursor.
    pub(crate) fn read(&self, fd: BorrowedFd<'_>, end: &EndSignal) -> Result<usize> {
        // The kernel is quicker with one buffer than with a list of one.
        if let [buf] = self.bufs[..] {
            // SAFETY: every iovec lies inside the memory borrowed for 'm (checked in `new` or `one`, narrowed only in `slice`);
            // a linear memory's pages stay mapped for as long as the memory is borrowed, a shared one's never move; no
            // reference to the bytes exists while the kernel writes them: an unshared memory is borrowed mutably by
            // this value, a shared one is only ever seen through `UnsafeCell`. `fd` is open for the duration of the
            // call.
            return retry(end, || unsafe {
                libc::read(fd.as_raw_fd(), buf.iov_base, buf.iov_len)
            });
        }
        // SAFETY: the same; the list lives across the call.
        retry(end, || unsafe {
            libc::readv(fd.as_raw_fd(), self.bufs.as_ptr(), self.count())
        })
    }

    /// `writev(2)`: writes at the description's own cursor, or at the end with `O_APPEND`.
    pub(crate) fn write(&self, fd: BorrowedFd<'_>, end: &EndSignal) -> Result<usize> {
        if let [buf] = self.bufs[..] {
            // SAFETY: as for `read`; the kernel only reads the bytes.
            return retry(end, || unsafe {
                libc::write(fd.as_raw_fd(), buf.iov_base, buf.iov_len)
            });
        }
        // SAFETY: as for `read`; the kernel only reads the bytes.
        retry(end, || unsafe {
            libc::writev(fd.as_raw_fd(), self.bufs.as_ptr(), self.count())
        })
    }

    /// `preadv(2)`.
    pub(crate) fn read_at(
        &self,
        fd: BorrowedFd<'_>,
        offset: u64,
        end: &EndSignal,
    ) -> Result<usize> {
        let offset = offset_of(offset)?;
        if let [buf] = self.bufs[..] {
            // SAFETY: as for `read`.
            return retry(end, || unsafe {
                libc::pread64(fd.as_raw_fd(), buf.iov_base, buf.iov_len, offset)
            });
        }
        // SAFETY: as for `read`.
        retry(end, || unsafe {
            libc::preadv64(fd.as_raw_fd(), self.bufs.as_ptr(), self.count(), offset)
        })
    }

    /// `pwritev(2)`. With `O_APPEND` Linux appends whatever the offset says.
    pub(crate) fn write_at(
        &self,
        fd: BorrowedFd<'_>,
        offset: u64,
        end: &EndSignal,
    ) -> Result<usize> {
        let offset = offset_of(offset)?;
        if let [buf] = self.bufs[..] {
            // SAFETY: as for `write`.
            return retry(end, || unsafe {
                libc::pwrite64(fd.as_raw_fd(), buf.iov_base, buf.iov_len, offset)
            });
        }
        // SAFETY: as for `write`.
        retry(end, || unsafe {
            libc::pwritev64(fd.as_raw_fd(), self.bufs.as_ptr(), self.count(), offset)
        })
    }

    /// One attempt to read a stream, made in the way that does not wait. Not repeated when a signal interrupts it.
    pub(crate) fn try_read(&self, fd: BorrowedFd<'_>, manner: Manner) -> Result<usize, Os> {
        match manner {
            Manner::Plain => {
                // SAFETY: as for `read`.
                once(unsafe { libc::readv(fd.as_raw_fd(), self.bufs.as_ptr(), self.count()) })
            }
            Manner::NoWait => once(
                // SAFETY: as for `read`; offset -1 is the description's cursor.
                unsafe {
                    libc::preadv2(
                        fd.as_raw_fd(),
                        self.bufs.as_ptr(),
                        self.count(),
                        -1,
                        libc::RWF_NOWAIT,
                    )
                },
            ),
            Manner::Socket => self.recv(fd, libc::MSG_DONTWAIT).map(|(n, _)| n),
        }
    }

    /// One attempt to write the bytes `range` to a stream, in the way that does not wait. Not repeated when a signal
    /// interrupts it.
    pub(crate) fn try_write(
        &self,
        fd: BorrowedFd<'_>,
        manner: Manner,
        range: &Range<usize>,
    ) -> Result<usize, Os> {
        if *range != (0..self.len()) {
            return self.slice(range).try_write(fd, manner, &(0..range.len()));
        }
        match manner {
            Manner::Plain => {
                // SAFETY: as for `write`.
                once(unsafe { libc::writev(fd.as_raw_fd(), self.bufs.as_ptr(), self.count()) })
            }
            Manner::NoWait => once(
                // SAFETY: as for `write`; offset -1 is the description's cursor.
                unsafe {
                    libc::pwritev2(
                        fd.as_raw_fd(),
                        self.bufs.as_ptr(),
                        self.count(),
                        -1,
                        libc::RWF_NOWAIT,
                    )
                },
            ),
            Manner::Socket => self.send(fd, libc::MSG_DONTWAIT),
        }
    }

    /// `recvmsg(2)` with `flags`; also says whether a datagram was cut short. Not repeated when interrupted.
    pub(crate) fn recv(&self, fd: BorrowedFd<'_>, flags: libc::c_int) -> Result<(usize, bool), Os> {
        let mut header = self.header();
        // SAFETY: as for `read`; the header names no address and no control buffer, and lives across the call.
        let n = once(unsafe { libc::recvmsg(fd.as_raw_fd(), &raw mut header, flags) })?;
        Ok((n, header.msg_flags & libc::MSG_TRUNC != 0))
    }

    /// `sendmsg(2)` with `flags`; never raises `SIGPIPE`. Not repeated when interrupted.
    pub(crate) fn send(&self, fd: BorrowedFd<'_>, flags: libc::c_int) -> Result<usize, Os> {
        let header = self.header();
        // SAFETY: as for `write`; the header names no address and no control buffer, and lives across the call.
        once(unsafe {
            libc::sendmsg(
                fd.as_raw_fd(),
                &raw const header,
                flags | libc::MSG_NOSIGNAL,
            )
        })
    }

    fn header(&self) -> libc::msghdr {
        // SAFETY: `msghdr` is a C structure of integers and pointers, for which all zeroes is a value: no name, no
        // buffers, no control data, no flags.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        // sendmsg does not write through the list, recvmsg only through the pointers in it.
        header.msg_iov = self.bufs.as_ptr().cast_mut();
        header.msg_iovlen = self.bufs.len() as _;
        header
    }

    /// Copies `bytes` into the buffers, in order, as far as both go. For bytes the host has in its own memory.
    pub(crate) fn fill(&self, bytes: &[u8]) {
        let mut rest = bytes;
        for buf in &self.bufs {
            let (now, later) = rest.split_at(rest.len().min(buf.iov_len));
            rest = later;
            let to = buf.iov_base.cast::<u8>();
            for (i, byte) in now.iter().enumerate() {
                // SAFETY: `i < iov_len`, so the address lies inside a buffer that `new` or `one` checked, in pages that
                // stay mapped while 'm lasts. The access is atomic, so a host thread that does the same to the same
                // shared memory does not race with it; guest code is compiled code outside the Rust memory model.
                // (wiggle's copies, of strings and of small results, are not atomic: DESIGN.md, "Memory".) An `u8` has no
                // alignment to keep.
                unsafe { AtomicU8::from_ptr(to.wrapping_add(i)) }.store(*byte, Ordering::Relaxed);
            }
        }
    }

    /// A copy of the bytes `range` of the whole.
    pub(crate) fn copy_out(&self, range: &Range<usize>) -> Vec<u8> {
        let mut out = Vec::with_capacity(range.len());
        for buf in self.part(range) {
            let from = buf.iov_base.cast::<u8>();
            for i in 0..buf.iov_len {
                // SAFETY: as for `fill`.
                let byte = unsafe { AtomicU8::from_ptr(from.wrapping_add(i)) };
                out.push(byte.load(Ordering::Relaxed));
            }
        }
        out
    }

    /// Fills the buffers with random bytes from `getrandom(2)`; looks at `end` before each megabyte.
    pub(crate) fn fill_random(&self, end: &EndSignal) -> Result<()> {
        for buf in &self.bufs {
            let mut done = 0;
            while done < buf.iov_len {
                end.check()?;
                let at = buf.iov_base.cast::<u8>().wrapping_add(done).cast();
                let len = (buf.iov_len - done).min(RANDOM_CHUNK);
                // SAFETY: as for `read`; `at` and `len` stay inside the buffer.
                done += retry(end, || unsafe { libc::getrandom(at, len, 0) })?;
            }
        }
        Ok(())
    }
}

/// Runs a system call until no signal handler interrupts it, or the end signal is raised: an embedder that interrupts a
/// thread in a file system that hangs (and lets itself be interrupted) gets it out.
#[inline]
fn retry(end: &EndSignal, mut call: impl FnMut() -> libc::ssize_t) -> Result<usize> {
    loop {
        match once(call()) {
            Ok(count) => return Ok(count),
            Err(Os::INTR) => end.check()?,
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The result of one system call.
fn once(returned: libc::ssize_t) -> Result<usize, Os> {
    usize::try_from(returned).map_err(|_| last_errno())
}

fn last_errno() -> Os {
    let error = std::io::Error::last_os_error();
    Os::from_io_error(&error).unwrap_or(Os::IO)
}

fn offset_of(offset: u64) -> Result<libc::off64_t, Os> {
    libc::off64_t::try_from(offset).map_err(|_| Os::INVAL)
}
