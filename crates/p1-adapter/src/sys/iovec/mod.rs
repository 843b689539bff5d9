//! Buffers in guest memory, and the bytes that are copied to and from them.
//!
//! [`Iovecs`] is a list of buffers, every one of them checked against the bounds of the memory it
//! lies in. It borrows the memory, so it cannot outlive the mapping. Its methods that read and
//! write files and streams are in the platform's file. Each is one system call, in which the kernel
//! copies between its own buffers and the guest's pages. Rust code never looks at the bytes. (The
//! two methods here copy to and from the host's own memory, for an embedder's streams.)
//!
//! Guest memory may be shared with other threads that write it at the same time. That is why raw
//! pointers are used throughout: no reference to guest bytes is ever formed, other than to one
//! atomic byte. The kernel's accesses are outside the Rust memory model, like those of any other
//! process that maps the pages.

#![allow(unsafe_code)]

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use smallvec::SmallVec;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
#[cfg(unix)]
use unix::IoVec;
use wiggle::{GuestError, GuestMemory, Region};
#[cfg(windows)]
use windows::IoVec;

/// How many buffers one system call takes (`IOV_MAX` on Linux, FreeBSD and macOS).
pub(crate) const IOV_MAX: usize = 1024;

/// Buffers that are kept in place: C libraries and Rust's library give two at most, and a list of
/// four is moved in a few instructions.
const INLINE: usize = 4;

/// Buffers in guest memory, in the guest's order, for one vectored system call.
pub(crate) struct Iovecs<'m> {
    list: SmallVec<[IoVec; INLINE]>,
    memory: PhantomData<&'m ()>,
}

/// The first byte and the length of a memory. Nothing is dereferenced here.
#[inline]
fn base_of(memory: &mut GuestMemory<'_>) -> (*mut u8, usize) {
    match memory {
        GuestMemory::Unshared(bytes) => (bytes.as_mut_ptr(), bytes.len()),
        // `UnsafeCell<u8>` has the layout of `u8`, and writing through a pointer to it is what the
        // cell allows.
        GuestMemory::Shared(cells) => (cells.as_ptr().cast_mut().cast::<u8>(), cells.len()),
    }
}

/// Checks one buffer against a memory of `size` bytes.
#[inline]
pub(crate) fn check_bounds(size: usize, start: u32, len: u32) -> Result<(), GuestError> {
    // Neither addition can overflow: both are u32 values in a 64-bit usize.
    const { assert!(usize::BITS >= 64) };
    if start as usize + len as usize > size {
        return Err(GuestError::PtrOutOfBounds(Region { start, len }));
    }
    Ok(())
}

/// The two numbers of 32 bits at `at`: the address and the length of a buffer in a guest's list.
/// Nothing if they do not lie in the memory, or not as they should: the caller reads them one by
/// one then, and finds the fault.
#[inline]
pub(crate) fn read_pair(memory: &mut GuestMemory<'_>, at: u32) -> Option<(u32, u32)> {
    let (base, size) = base_of(memory);
    let first = base.wrapping_add(at as usize).cast::<u32>();
    if !first.is_aligned() || check_bounds(size, at, 8).is_err() {
        return None;
    }
    // SAFETY: the eight bytes were just found to lie inside the memory, which is borrowed, and the
    // number is aligned. The access is atomic; see `fill`.
    let one = |place| unsafe { AtomicU32::from_ptr(first.wrapping_add(place)) };
    let [start, len] = [0, 1].map(|place| u32::from_le(one(place).load(Ordering::Relaxed)));
    Some((start, len))
}

/// Writes numbers of 64 bits into the structure at `at`, which has `len` bytes: each with its place
/// there, a multiple of eight. False, and nothing written, if the structure does not lie in the
/// memory, or not as it should.
#[inline]
pub(crate) fn write_words(
    memory: &mut GuestMemory<'_>,
    (at, len): (u32, u32),
    words: &[(u32, u64)],
) -> bool {
    let (base, size) = base_of(memory);
    let first = base.wrapping_add(at as usize).cast::<u64>();
    if !first.is_aligned() || check_bounds(size, at, len).is_err() {
        return false;
    }
    for (place, word) in words {
        assert!(place % 8 == 0 && place + 8 <= len);
        let to = first.wrapping_byte_add(*place as usize);
        // SAFETY: the word lies inside a structure that was just found to lie inside the memory,
        // which is borrowed, and is aligned as that is. The access is atomic; see `fill`.
        unsafe { AtomicU64::from_ptr(to) }.store(word.to_le(), Ordering::Relaxed);
    }
    true
}

impl<'m> Iovecs<'m> {
    /// No buffers yet.
    pub(crate) fn none() -> Self {
        Self {
            list: SmallVec::new(),
            memory: PhantomData,
        }
    }

    /// The buffer at `start` in `memory`.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    #[inline]
    pub(crate) fn one(
        memory: &'m mut GuestMemory<'_>,
        start: u32,
        len: u32,
    ) -> Result<Self, GuestError> {
        let (base, size) = base_of(memory);
        check_bounds(size, start, len)?;
        let mut list = SmallVec::new();
        list.push(IoVec {
            iov_base: base.wrapping_add(start as usize).cast(),
            iov_len: len as usize,
        });
        Ok(Self {
            list,
            memory: PhantomData,
        })
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
            self.list.push(IoVec {
                iov_base: base.wrapping_add(start as usize).cast(),
                iov_len: len as usize,
            });
        }
        Ok(())
    }

    /// How many bytes the buffers hold together.
    #[inline]
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
                list.push(IoVec {
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
