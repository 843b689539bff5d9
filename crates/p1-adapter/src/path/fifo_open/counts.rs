//! How many opens and how many moves of names are under way.

use crate::sys::word::Word;
use std::sync::atomic::AtomicU64;

const OPEN: u64 = 1;
const MOVE: u64 = 1 << 32;

/// Opens under way in the lower half of the word, moves in the upper.
pub(super) struct Counts<W: Word = AtomicU64>(W);

impl Default for Counts {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl<W: Word> Counts<W> {
    /// One more open; whether moves are under way.
    pub(super) fn open(&self) -> bool {
        self.0.add(OPEN) >= MOVE
    }

    pub(super) fn opened(&self) {
        self.0.sub(OPEN);
    }

    /// One more move; whether opens are under way.
    pub(super) fn begin_move(&self) -> bool {
        !self.0.add(MOVE).is_multiple_of(MOVE)
    }

    pub(super) fn end_move(&self) {
        self.0.sub(MOVE);
    }

    pub(super) fn moving(&self) -> bool {
        self.0.load() >= MOVE
    }
}

#[cfg(test)]
mod tests;
