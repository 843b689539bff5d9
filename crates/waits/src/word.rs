//! The words that threads wait on.

use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// How wide the word is that a thread waits on.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Width {
    /// `memory.atomic.wait32`.
    W32,
    /// `memory.atomic.wait64`.
    W64,
}

/// What a thread waits for: a word, and the value it is to leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Awaited {
    /// The host address of the word.
    pub(crate) address: u64,
    /// How wide it is.
    pub(crate) width: Width,
    /// What it holds.
    pub(crate) expected: u64,
}

impl Awaited {
    /// A wait for a 32-bit word, and what the word holds, by a sequentially consistent load.
    pub(crate) fn of32(word: &AtomicU32, expected: u32) -> (Self, impl Fn() -> u64) {
        let awaited = Self {
            address: address_of(word),
            width: Width::W32,
            expected: expected.into(),
        };
        (awaited, move || word.load(Ordering::SeqCst).into())
    }

    /// As [`Awaited::of32`], for a 64-bit word.
    pub(crate) fn of64(word: &AtomicU64, expected: u64) -> (Self, impl Fn() -> u64) {
        let awaited = Self {
            address: address_of(word),
            width: Width::W64,
            expected,
        };
        (awaited, move || word.load(Ordering::SeqCst))
    }
}

/// The key of a word: its host address.
pub(crate) fn address_of<T>(word: &T) -> u64 {
    std::ptr::from_ref(word).addr() as u64
}
