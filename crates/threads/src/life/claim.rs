//! The claim: which cause ends a group, decided by one atomic word.
//!
//! No lock is taken to claim, to ask whether the group has been claimed, to register a thread or to
//! start one. So a supervisor that runs can claim its outcome, however many threads of the guest
//! hold or want the group's locks. `DESIGN.md`, *The claim*, has the argument; the models are
//! `tests/loom_life_protocol.rs`.

use crate::sys::shim::{AtomicU64, Ordering, mutant};

/// The outcome is decided.
const CLAIMED: u64 = 1;
/// A deadlock was found, and the stuck threads are being asked where they are.
const ASKING: u64 = 2;
/// One step: a thread that was registered, or that has started. The count wraps around. Only
/// [`Claim::ask`] could be misled, by 2^62 steps between its two looks.
const STEP: u64 = 4;

/// Decides the outcome of one group, once.
///
/// One word holds whether the group is open and how many steps its threads have taken into it.
/// Every change is one read-modify-write of that word, so all changes have one order: a step comes
/// before the claim, and counts, or after it, and is refused.
#[derive(Debug)]
pub(crate) struct Claim {
    word: AtomicU64,
}

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    /// The group was open: the caller's cause is the outcome, and the caller tells the other
    /// threads.
    First {
        /// How many steps were taken before.
        steps: u64,
    },
    /// Stuck threads were being asked. The deadlock is the outcome if its list has been published,
    /// otherwise the caller's cause is. In either case the caller tells the other threads.
    Asking,
    /// The outcome was decided before.
    Late {
        /// How many steps were taken before.
        steps: u64,
    },
}

/// The word as it was seen. A deadlock may be claimed if it is still the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked(u64);

impl Claim {
    /// The claim of a group that is open.
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
        }
    }

    /// Claims the outcome for the caller's cause. Takes no lock, and does not wait.
    pub(crate) fn claim(&self) -> Claimed {
        let before = mutant!(
            // Acquire: an asker's list was published before its bit.
            self.word.fetch_or(CLAIMED, Ordering::AcqRel),
            unless "a claim in two steps" then {
                let before = self.word.load(Ordering::Acquire);
                self.word.store(before | CLAIMED, Ordering::Release);
                before
            }
        );
        if before & CLAIMED != 0 {
            Claimed::Late {
                steps: before / STEP,
            }
        } else if before & ASKING != 0 {
            Claimed::Asking
        } else {
            Claimed::First {
                steps: before / STEP,
            }
        }
    }

    /// Whether the outcome is decided after steps were taken, so that there may be threads to stop.
    pub(crate) fn has_threads_to_stop(&self) -> bool {
        self.is_claimed() && self.word.load(Ordering::Acquire) >= STEP
    }

    /// Counts a step: a thread that is registered, or one that is about to run the guest's code.
    /// False when the group has been claimed, or found stuck, before: then the step is not taken.
    #[must_use]
    pub(crate) fn step(&self) -> bool {
        mutant!(
            self.word.fetch_add(STEP, Ordering::AcqRel) & (CLAIMED | ASKING) == 0,
            unless "a step that looks first" then {
                let open = !self.is_closed();
                self.word.fetch_add(STEP, Ordering::AcqRel);
                open
            }
        )
    }

    /// Whether the outcome is decided, or about to be. Then no more threads are registered.
    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Acquire) & (CLAIMED | ASKING) != 0
    }

    /// Whether the outcome is decided.
    pub(crate) fn is_claimed(&self) -> bool {
        self.word.load(Ordering::Acquire) & CLAIMED != 0
    }

    /// Whether stuck threads are being asked, and nothing else has been decided.
    pub(crate) fn is_asking(&self) -> bool {
        self.word.load(Ordering::Acquire) & (CLAIMED | ASKING) == ASKING
    }

    /// The word, for a caller that is about to look whether all threads are stuck; `None` if the
    /// group is closed.
    pub(crate) fn look(&self) -> Option<Looked> {
        let word = self.word.load(Ordering::Acquire);
        (word & (CLAIMED | ASKING) == 0).then_some(Looked(word))
    }

    /// Closes the group because all its threads were stuck after [`look`](Self::look). False if a
    /// thread was registered or has started since, or another caller has closed the group: then the
    /// caller looks again.
    #[must_use]
    pub(crate) fn ask(&self, seen: Looked) -> bool {
        mutant!(
            self.word
                .compare_exchange(seen.0, seen.0 | ASKING, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok(),
            unless "a deadlock without a second look" then {
                let _ = seen;
                self.word.fetch_or(ASKING, Ordering::AcqRel) & (CLAIMED | ASKING) == 0
            }
        )
    }
}
