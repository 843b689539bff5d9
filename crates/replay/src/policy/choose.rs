//! What policies have in common.

use crate::interface::{Stop, ThreadId, Turn, Why};
use crate::rng::SplitMix64;

/// A timeout fires early once in so many decisions while a thread sleeps.
pub const EARLY: u64 = 5;

/// The sleeper whose deadline comes now: because no thread can run, or by chance.
///
/// Draws only if some thread can run and another sleeps.
pub(super) fn woken(rng: &mut SplitMix64, stop: &Stop<'_>) -> Option<ThreadId> {
    let first = stop.sleeping.first()?.thread;
    (stop.runnable.is_empty() || rng.once_in(EARLY)).then_some(first)
}

/// The threads that may be next: all that can run, without one that yields if there are others.
pub(super) fn candidates(stop: &Stop<'_>) -> Vec<ThreadId> {
    let yields = stop.why == Why::Yield && stop.runnable.len() > 1;
    let may = |thread: &&ThreadId| !(yields && **thread == stop.thread);
    stop.runnable.iter().filter(may).copied().collect()
}

/// The answer when no thread can run and none sleeps, which is the host's to notice.
pub(super) fn nobody(stop: &Stop<'_>) -> Turn {
    Turn {
        thread: stop.thread,
        budget: 0,
    }
}
