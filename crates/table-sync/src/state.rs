//! The word of a slot: its generation above the state of its lock.
//!
//! ```text
//!  63            32 31        9 8 7 6 5 4 3 2 1 0
//! | generation     | readers   | flags             |
//! ```

use crate::mutants::mutant;
use std::fmt;

/// The entry can be found.
pub(crate) const PRESENT: u64 = 1 << 0;
/// One thread has the value alone: by a guard, or as a remover on its way to reclaim the slot.
pub(crate) const EXCLUSIVE: u64 = 1 << 1;
/// Readers may publish themselves instead of being counted here. Excludes `EXCLUSIVE`, `DRAIN`.
pub(crate) const BIASED: u64 = 1 << 2;
/// `BIASED` was taken back and published readers may be left. Excludes `EXCLUSIVE`, `BIASED`.
pub(crate) const DRAIN: u64 = 1 << 3;
/// The wait queue is not empty.
pub(crate) const QUEUED: u64 = 1 << 4;
/// There is a writer in the wait queue: new readers queue up behind it.
pub(crate) const WRITER_QUEUED: u64 = 1 << 5;
/// The entry may have a parent or children; ask `children`.
pub(crate) const KIN: u64 = 1 << 6;
/// The entry was removed while held. The thread that finds it idle reclaims it. Excludes `PRESENT`.
pub(crate) const DETACHED: u64 = 1 << 7;

/// The first in the queue has not been called since it last looked: a thread that leaves looks at
/// the queue. Only with `QUEUED`.
pub(crate) const TO_CALL: u64 = 1 << 8;

/// One counted reader.
pub(crate) const READER: u64 = 1 << 9;
const READERS: u64 = 0xffff_fe00;

const GENERATION: u64 = 0xffff_ffff_0000_0000;

/// What a waiter wants of an entry's lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

/// A value of the word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotState(pub(crate) u64);

impl SlotState {
    /// A slot of this generation with only `flags` set.
    #[inline]
    pub(crate) fn new(generation: u32, flags: u64) -> Self {
        Self(u64::from(generation) << 32 | flags)
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn has(self, flags: u64) -> bool {
        self.0 & flags != 0
    }

    /// Whether a handle of `generation` finds its entry here.
    #[inline]
    pub(crate) fn is_present(self, generation: u32) -> bool {
        self.is_present_with(generation, 0)
    }

    /// Whether a handle of `generation` finds its entry here, with all of `flags`.
    #[inline]
    pub(crate) fn is_present_with(self, generation: u32, flags: u64) -> bool {
        mutant!(GenerationIgnored: return self.0 & (PRESENT | flags) == PRESENT | flags);
        let wanted = Self::new(generation, PRESENT | flags).0;
        self.0 & (GENERATION | PRESENT | flags) == wanted
    }

    /// Whether one more counted reader fits.
    #[inline]
    pub(crate) fn is_full_of_readers(self) -> bool {
        self.0 & READERS == READERS
    }

    /// Whether no thread has the value and none may have it unseen.
    #[inline]
    pub(crate) fn is_idle(self) -> bool {
        self.0 & (READERS | EXCLUSIVE | BIASED | DRAIN) == 0
    }

    /// Whether the first in the queue has to wait for a thread that will look at the queue when it
    /// leaves.
    pub(crate) fn is_closed_to(self, mode: Mode) -> bool {
        match mode {
            Mode::Shared => self.has(EXCLUSIVE),
            Mode::Exclusive => self.has(EXCLUSIVE | DRAIN) || self.has_counted_readers(),
        }
    }

    #[inline]
    pub(crate) fn has_counted_readers(self) -> bool {
        self.0 & READERS != 0
    }

    #[inline]
    pub(crate) fn with(self, flags: u64) -> Self {
        Self(self.0 | flags)
    }

    #[inline]
    pub(crate) fn without(self, flags: u64) -> Self {
        Self(self.0 & !flags)
    }
}

impl fmt::Debug for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "generation {}, {} readers, flags {:#011b}",
            self.generation(),
            (self.0 & READERS) / READER,
            self.0 & 0x1ff
        )
    }
}
