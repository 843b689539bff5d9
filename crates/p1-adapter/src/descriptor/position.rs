//! Where a file's cursor is, as the operating system said last, for as long as nobody has moved it since.
//!
//! C libraries ask for the position far more often than it changes: every `ftell` between two refills of a buffer is
//! a `fd_tell`. The cursor itself stays the operating system's, with its locks; this is only its last answer, thrown away by whoever
//! may change it. That takes a description that nobody else has, which is what `path_open` makes.
//!
//! # Protocol
//!
//! One word: either the position, or *unknown* with the number of threads that are *moving* (reading, writing, seeking,
//! asking) and a mark that says whether any two of them were at it at once.
//!
//! * A mover makes the word unknown and counts itself, *then* makes its system call, then leaves. The last to leave takes the
//!   mark away.
//! * Asking is a move too. Who was told a position stores it when leaving, if the word says that it is alone and has been
//!   all along: then nothing moved between its count and its store, so what the system said in between still holds.
//! * Who finds a position uses it. At that moment nobody was moving; whoever counts itself later comes later.
//!
//! All changes of the word are read-modify-writes (or fail), so they have one order; a mover's leaving releases what its
//! call did, and the next to count itself acquires it: a system call made after that sees the cursor moved.
//! `tests::model` runs this through loom.

use std::sync::atomic::{AtomicU64, Ordering};

/// Set while the position is not known; the rest of the word is then `SHARED` and a count.
const UNKNOWN: u64 = 1 << 63;
/// Two movers were at it at once, since the count was last 0.
const SHARED: u64 = 1 << 62;
const ONE: u64 = 1;
const COUNT: u64 = SHARED - 1;
/// One mover that has been alone.
const ALONE: u64 = UNKNOWN | ONE;

/// The word, so that loom can stand in for the hardware.
pub(crate) trait Word {
    fn load(&self) -> u64;
    /// The value that was there, if it was `current` and is `new` now; otherwise what is there.
    fn replace(&self, current: u64, new: u64) -> Result<u64, u64>;
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        self.load(Ordering::Acquire)
    }

    #[inline]
    fn replace(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
    }
}

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
    pub(crate) fn moving(&self) -> Moving<'_, W> {
        let mut word = self.0.load();
        loop {
            let counted = match word {
                known if known & UNKNOWN == 0 => ALONE,
                UNKNOWN => ALONE,
                shared => (shared + ONE) | SHARED,
            };
            match self.0.replace(word, counted) {
                Ok(_) => return Moving(self),
                Err(now) => word = now,
            }
        }
    }
}

/// One thread that may be moving the cursor.
pub(crate) struct Moving<'a, W: Word = AtomicU64>(&'a Position<W>);

impl<W: Word> Moving<'_, W> {
    /// Ends the move: the system has said that the cursor is at `position`.
    #[inline]
    pub(crate) fn ends_at(self, position: u64) {
        if position & UNKNOWN == 0 && self.0.0.replace(ALONE, position).is_ok() {
            std::mem::forget(self);
        }
    }
}

impl<W: Word> Drop for Moving<'_, W> {
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
mod tests {
    use super::*;

    impl Word for loom::sync::atomic::AtomicU64 {
        fn load(&self) -> u64 {
            self.load(Ordering::Acquire)
        }

        fn replace(&self, current: u64, new: u64) -> Result<u64, u64> {
            self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
        }
    }

    type Loom = loom::sync::atomic::AtomicU64;

    /// A file: our word, and the system's cursor, which moves at once for whoever makes the call.
    struct Model {
        position: Position<Loom>,
        cursor: Loom,
        /// Leaves the counting out, as a variant that must be found out.
        careless: bool,
    }

    impl Model {
        fn new(careless: bool) -> loom::sync::Arc<Self> {
            loom::sync::Arc::new(Self {
                position: Position(Loom::new(UNKNOWN)),
                cursor: Loom::new(0),
                careless,
            })
        }

        fn read(&self) {
            let moving = self.position.moving();
            if self.careless {
                drop(moving);
                self.cursor.fetch_add(1, Ordering::Relaxed);
                return;
            }
            self.cursor.fetch_add(1, Ordering::Relaxed);
        }

        fn tell(&self) -> u64 {
            if let Some(known) = self.position.known() {
                return known;
            }
            let moving = self.position.moving();
            let at = self.cursor.load(Ordering::Relaxed);
            moving.ends_at(at);
            at
        }
    }

    /// Two threads read and ask: nobody is told less than what it has read itself, or than it was told before, and once
    /// all is quiet everybody is told the truth. Up to three switches of thread at odd places.
    fn run(careless: bool) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let model = Model::new(careless);
            let other = loom::sync::Arc::clone(&model);
            let thread = loom::thread::spawn(move || {
                other.read();
            });
            let first = model.tell();
            model.read();
            let second = model.tell();
            assert!(second > first, "told {first}, then {second}");
            thread.join().unwrap();
            assert_eq!(model.tell(), 2, "told something else");
            assert_eq!(model.position.known(), Some(2));
        });
    }

    #[test]
    fn model() {
        run(false);
    }

    /// The model must be able to fail.
    #[test]
    #[should_panic(expected = "told")]
    fn model_finds_a_mover_that_does_not_count_itself() {
        run(true);
    }

    #[test]
    fn a_position_is_kept_until_somebody_moves() {
        let position = Position::new();
        assert_eq!(position.known(), None);
        position.moving().ends_at(7);
        assert_eq!(position.known(), Some(7));
        drop(position.moving());
        assert_eq!(position.known(), None);
    }

    #[test]
    fn what_was_told_while_another_moved_is_not_kept() {
        let position = Position::new();
        let asking = position.moving();
        drop(position.moving());
        asking.ends_at(7);
        assert_eq!(position.known(), None);
        // Both are gone: the next who asks is alone again.
        position.moving().ends_at(8);
        assert_eq!(position.known(), Some(8));
    }
}
