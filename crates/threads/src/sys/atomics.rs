//! Words of a shared memory as atomics. [`memory`](crate::memory) has the guest's rules.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use wasmtime::SharedMemory;

/// The 32-bit word at byte `start`; `None` unless it is wholly inside the memory as it is now, and
/// aligned on the host.
pub(crate) fn word32(memory: &SharedMemory, start: usize) -> Option<&AtomicU32> {
    let cells = aligned(memory, start, 4)?;
    // SAFETY:
    // - `cells` is 4 bytes long, at a multiple of 4 (both checked in `aligned`).
    // - They lie in the memory's mapping, which neither moves nor shrinks, and
    //   lives as long as the handle the result borrows from.
    // - No code holds a Rust reference to their content: the mapping is reached through
    //   `UnsafeCell<u8>`, in this crate through atomics only. Accesses by compiled guest code are
    //   not part of Rust's memory model; on the processors Wasmtime has, they do not tear an
    //   aligned word.
    Some(unsafe { AtomicU32::from_ptr(UnsafeCell::raw_get(cells.as_ptr()).cast()) })
}

/// The 64-bit word at byte `start`. As [`word32`] otherwise.
pub(crate) fn word64(memory: &SharedMemory, start: usize) -> Option<&AtomicU64> {
    let cells = aligned(memory, start, 8)?;
    // SAFETY: as in `word32`, with 8 bytes at a multiple of 8.
    Some(unsafe { AtomicU64::from_ptr(UnsafeCell::raw_get(cells.as_ptr()).cast()) })
}

/// `len` bytes from `start` on, as atomics; `None` unless all of them are inside the memory as it
/// is now.
pub(crate) fn bytes(memory: &SharedMemory, start: usize, len: usize) -> Option<&[AtomicU8]> {
    let cells = memory.data().get(start..start.checked_add(len)?)?;
    // SAFETY: `AtomicU8` has the size, alignment and bit validity of `u8`, and
    // interior mutability as `UnsafeCell<u8>` has it; extent and lifetime are
    // those of `cells`. The other facts are those of `word32`.
    Some(unsafe { std::slice::from_raw_parts(cells.as_ptr().cast(), len) })
}

/// `len` bytes from `start` on, if they begin at a multiple of `len` in the host's count.
fn aligned(memory: &SharedMemory, start: usize, len: usize) -> Option<&[UnsafeCell<u8>]> {
    let cells = memory.data().get(start..start.checked_add(len)?)?;
    cells.as_ptr().addr().is_multiple_of(len).then_some(cells)
}
