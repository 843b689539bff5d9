//! The words that threads wait on.

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
    pub(crate) fn of<T>(word: &T, width: Width, expected: u64) -> Self {
        Self {
            address: address_of(word),
            width,
            expected,
        }
    }
}

/// The key of a word: its host address.
pub(crate) fn address_of<T>(word: &T) -> u64 {
    std::ptr::from_ref(word).addr() as u64
}
