//! When a waiter looks out for its signal for a moment before it sleeps.
//!
//! Both parts belong to the owner of a node alone; they are atomics only because the crate has no
//! unsafe cells.

use crate::word::Awaited;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a thread waited for last.
///
/// A thread that waits again and again for one word to leave one value waits for a lock. The thread
/// that releases a lock often takes it again at once, and a waiter that is back sooner disturbs it
/// more. So a waiter for a lock does not spin. Threads that take turns through a word wait for
/// another value each time, so their waits may spin.
///
/// A thread in a loop around a lock soon finds another value. A thread that finds the same value
/// again and again polls a word that does not change, and disturbs no other thread.
#[derive(Debug, Default)]
pub(crate) struct Last {
    address: AtomicU64,
    expected: AtomicU64,
    /// What the word held when the owner looked last.
    seen: AtomicU64,
    /// Refusals in a row since it held something else, up to [`POLLED`].
    unchanged: AtomicU32,
}

/// This many refusals in a row without a change of the word are a poll. Each refusal looks at the
/// word twice. A lock's word that is the same at half of the looks is taken for a poll once in 2^32
/// times, until it is seen to change.
const POLLED: u32 = 16;

impl Last {
    /// Notes a wait that is refused because the word holds `value`. Returns whether to hold the
    /// thread up: it was refused for the same word and value before, and does not poll.
    pub(crate) fn refused(&self, awaited: Awaited, value: u64) -> bool {
        if self.swap_if_new(awaited) {
            self.seen.store(value, Relaxed);
            self.unchanged.store(0, Relaxed);
            return false;
        }
        self.holds(value);
        let unchanged = self.unchanged.load(Relaxed);
        self.unchanged.store((unchanged + 1).min(POLLED), Relaxed);
        unchanged < POLLED
    }

    /// Notes what the word holds now.
    pub(crate) fn holds(&self, value: u64) {
        if self.seen.load(Relaxed) != value {
            self.seen.store(value, Relaxed);
            self.unchanged.store(0, Relaxed);
        }
    }

    /// Notes a wait that is queued. Returns whether it is for another word or value than the wait
    /// before.
    pub(crate) fn queued(&self, awaited: Awaited) -> bool {
        self.unchanged.store(0, Relaxed);
        self.swap_if_new(awaited)
    }

    fn swap_if_new(&self, awaited: Awaited) -> bool {
        let new = self.address.load(Relaxed) != awaited.address
            || self.expected.load(Relaxed) != awaited.expected;
        if new {
            self.address.store(awaited.address, Relaxed);
            self.expected.store(awaited.expected, Relaxed);
        }
        new
    }
}

/// Failures that are forgiven after as many successes.
const TRUSTED: u32 = 3;
/// Waits that sleep at once after a failure, at first and at most.
const SKIPPED_FIRST: u32 = 16;
const SKIPPED_MOST: u32 = 1024;

/// Whether spinning has paid lately.
#[derive(Debug, Default)]
pub(crate) struct Spinning {
    /// Successes, less failures, up to [`TRUSTED`].
    trust: AtomicU32,
    /// Waits that are to sleep at once before the next attempt.
    skip: AtomicU32,
    /// How many there were before the last attempt; each failure doubles them.
    skipped: AtomicU32,
}

impl Spinning {
    /// Whether to try it in this wait.
    pub(crate) fn wanted(&self) -> bool {
        let skip = self.skip.load(Relaxed);
        if skip > 0 {
            self.skip.store(skip - 1, Relaxed);
        }
        skip == 0
    }

    /// Learns from an attempt.
    pub(crate) fn tried(&self, paid: bool) {
        let trust = self.trust.load(Relaxed);
        if paid {
            self.trust.store((trust + 1).min(TRUSTED), Relaxed);
            self.skipped.store(0, Relaxed);
        } else if trust > 0 {
            self.trust.store(trust - 1, Relaxed);
        } else {
            let skip = (self.skipped.load(Relaxed) * 2).clamp(SKIPPED_FIRST, SKIPPED_MOST);
            self.skip.store(skip, Relaxed);
            self.skipped.store(skip, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rare_while_they_fail() {
        let spinning = Spinning::default();
        let mut attempts = Vec::new();
        for wait in 0..10_000_u32 {
            if spinning.wanted() {
                attempts.push(wait);
                spinning.tried(false);
            }
        }
        let gaps: Vec<_> = attempts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps[..8], [17, 33, 65, 129, 257, 513, 1025, 1025]);
        assert!(gaps[8..].iter().all(|gap| *gap == 1025));
    }

    #[test]
    fn success_is_trusted_for_a_while() {
        let spinning = Spinning::default();
        for _ in 0..10 {
            assert!(spinning.wanted());
            spinning.tried(true);
        }
        for _ in 0..=TRUSTED {
            assert!(spinning.wanted());
            spinning.tried(false);
        }
        assert!(!spinning.wanted());
    }

    fn awaited(address: u64, expected: u64) -> Awaited {
        Awaited {
            address,
            width: crate::word::Width::W32,
            expected,
        }
    }

    #[test]
    fn a_lock_is_known_by_its_value() {
        let last = Last::default();
        assert!(last.queued(awaited(8, 2)));
        assert!(!last.queued(awaited(8, 2)));
        assert!(last.queued(awaited(8, 3)));
        assert!(last.queued(awaited(12, 3)));
        assert!(last.queued(awaited(8, 3)));
    }

    /// How many of this many refusals hold the thread up, if the word holds what `value` says at
    /// each look.
    fn held_up(last: &Last, refusals: u64, mut value: impl FnMut(u64) -> u64) -> u64 {
        let mut looks = 0..;
        let mut look = || value(looks.next().unwrap());
        let mut times = 0;
        for _ in 0..refusals {
            if last.refused(awaited(8, 2), look()) {
                last.holds(look());
                times += 1;
            }
        }
        times
    }

    #[test]
    fn a_poll_is_not_held_up_for_long() {
        let last = Last::default();
        assert_eq!(held_up(&last, 10_000, |_| 1), u64::from(POLLED));
        assert_eq!(held_up(&last, 10_000, |_| 1), 0);
        // The word changes once: it may be a lock after all.
        assert_eq!(held_up(&last, 10_000, |_| 0), u64::from(POLLED));
        // So may it after a wait that had to wait.
        last.queued(awaited(8, 2));
        assert_eq!(held_up(&last, 10_000, |_| 0), u64::from(POLLED));
        // Another word is another matter.
        assert!(!last.refused(awaited(16, 2), 0));
        assert!(last.refused(awaited(16, 2), 0));
    }

    #[test]
    fn a_lock_is_always_held_up() {
        let last = Last::default();
        // The first refusal of all is not.
        assert_eq!(held_up(&last, 10_000, |look| look % 2), 9_999);
        // Taken and free in no order: three quarters of the looks find it as it was.
        let mut state = 1_u64;
        let mut taken = 0;
        let random = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005) + 1;
            taken ^= u64::from((state >> 33) & 3 == 0);
            taken
        };
        assert!(held_up(&last, 10_000, random) > 9_900);
    }
}
