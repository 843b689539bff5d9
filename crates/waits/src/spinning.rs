//! When a waiter looks out for its signal for a moment before it sleeps.
//!
//! Both parts belong to the owner of a node alone; they are atomics only because the crate has no
//! unsafe cells.

use crate::word::Awaited;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// What a thread waited for last.
///
/// A thread that waits again and again for one word to leave one value waits for a lock. There the
/// thread that gives it back wants it again at once, and is disturbed the more, the sooner the
/// waiter is back. So a waiter for a lock does not spin. Where turns are taken, the value changes.
#[derive(Debug, Default)]
pub(crate) struct Last {
    address: AtomicU64,
    expected: AtomicU64,
}

impl Last {
    /// Notes a wait; whether it is for another word or value than the one before.
    pub(crate) fn swap_if_new(&self, awaited: Awaited) -> bool {
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

    #[test]
    fn a_lock_is_known_by_its_value() {
        let last = Last::default();
        let awaited = |address, expected| Awaited {
            address,
            width: crate::word::Width::W32,
            expected,
        };
        assert!(last.swap_if_new(awaited(8, 2)));
        assert!(!last.swap_if_new(awaited(8, 2)));
        assert!(last.swap_if_new(awaited(8, 3)));
        assert!(last.swap_if_new(awaited(12, 3)));
        assert!(last.swap_if_new(awaited(8, 3)));
    }
}
