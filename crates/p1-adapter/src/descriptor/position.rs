//! Where a file's cursor is, as the operating system said last, for as long as no thread has moved
//! it since.
//!
//! C libraries ask for the position far more often than it changes: every `ftell` between two
//! refills of a buffer is a `fd_tell`. The cursor itself stays the operating system's, with its
//! locks. This is only its last answer, and each call that may change the cursor discards it. The
//! description must not be shared; those that `path_open` makes are not.
//!
//! # Protocol
//!
//! One word: either the position, or *unknown* with the number of threads that are *moving*
//! (reading, writing, seeking, asking) and a mark. The mark says whether any two of them moved at
//! once.
//!
//! * A mover makes the word unknown and counts itself, *then* makes its system call, then leaves.
//!   The last to leave takes the mark away.
//! * Asking is a move too. A thread that was told a position stores it when it leaves, if the word
//!   says that it is alone and has been alone since it counted itself. Then nothing moved between
//!   its count and its store, so what the system said in between still holds.
//! * A thread that finds a position uses it. At that moment no thread was moving, and one that
//!   counts itself later comes later.
//!
//! All changes of the word are read-modify-writes (or fail), so they have one order. A mover's
//! leaving releases what its call did, and the next to count itself acquires it: a system call made
//! after that sees the cursor moved. `tests::model` runs this through loom.

use crate::sys::word::Word;
use std::sync::atomic::AtomicU64;

/// Set while the position is not known; the rest of the word is then `SHARED` and a count.
const UNKNOWN: u64 = 1 << 63;
/// Two movers were at it at once, since the count was last 0.
const SHARED: u64 = 1 << 62;
const ONE: u64 = 1;
const COUNT: u64 = SHARED - 1;
/// One mover that has been alone.
const ALONE: u64 = UNKNOWN | ONE;

/// The position of one description.
pub(crate) struct Position<W: Word = AtomicU64>(W);

impl Position {
    /// Not known yet.
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(UNKNOWN))
    }
}

impl<W: Word> Position<W> {
    /// The position, if it is known.
    #[inline]
    pub(crate) fn known(&self) -> Option<u64> {
        let word = self.0.load();
        (word & UNKNOWN == 0).then_some(word)
    }

    /// From here until the guard is dropped the caller may move the cursor.
    #[inline]
    pub(crate) fn moving(&self) -> CursorMove<'_, W> {
        let mut word = self.0.load();
        loop {
            let counted = match word {
                known if known & UNKNOWN == 0 => ALONE,
                UNKNOWN => ALONE,
                shared => (shared + ONE) | SHARED,
            };
            match self.0.replace(word, counted) {
                Ok(_) => return CursorMove(self),
                Err(now) => word = now,
            }
        }
    }
}

/// One thread that may be moving the cursor.
pub(crate) struct CursorMove<'a, W: Word = AtomicU64>(&'a Position<W>);

impl<W: Word> CursorMove<'_, W> {
    /// Ends the move: the system has said that the cursor is at `position`.
    #[inline]
    pub(crate) fn ends_at(self, position: u64) {
        if position & UNKNOWN == 0 && self.0.0.replace(ALONE, position).is_ok() {
            std::mem::forget(self);
        }
    }
}

impl<W: Word> Drop for CursorMove<'_, W> {
    #[inline]
    fn drop(&mut self) {
        let mut word = self.0.0.load();
        loop {
            let left = match (word & COUNT) - ONE {
                0 => UNKNOWN,
                _ => word - ONE,
            };
            match self.0.0.replace(word, left) {
                Ok(_) => return,
                Err(now) => word = now,
            }
        }
    }
}

#[cfg(test)]
mod tests;
