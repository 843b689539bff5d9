//! Sleeping on a word with a mutex and a condition variable, for platforms
//! without a futex and for the loom models.

use crate::sync::{AtomicU32, Condvar, Mutex, Ordering, condvar_wait, condvar_wait_timeout};
use std::time::Instant;

/// One per node: at most one thread sleeps on it at a time.
///
/// The waker changes the word first, then passes through the mutex, then
/// notifies. The sleeper looks at the word with the mutex held. So either the
/// sleeper sees the change, or the waker gets the mutex only once the sleeper
/// is inside the condition variable's wait: no wake-up falls between.
#[derive(Debug)]
pub(crate) struct CondvarSleeper {
    gate: Mutex<()>,
    changed: Condvar,
}

impl CondvarSleeper {
    /// A sleeper for one node.
    pub(crate) fn new() -> Self {
        Self {
            gate: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Sleeps while `word` holds `seen`, until [`CondvarSleeper::wake`] or `deadline`.
    /// May return early for no reason. Returns `false` when the deadline had
    /// passed before the call.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
        let left = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                None => return false,
                Some(left) if left.is_zero() => return false,
                left => left,
            },
        };
        let guard = self.gate.lock();
        if word.load(Ordering::Relaxed) == seen {
            drop(match left {
                None => condvar_wait(&self.changed, guard),
                Some(left) => condvar_wait_timeout(&self.changed, guard, left),
            });
        }
        true
    }

    /// Wakes the thread that sleeps, if one does. The caller has changed the
    /// word before.
    pub(crate) fn wake(&self, _word: &AtomicU32) {
        drop(self.gate.lock());
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::{AtomicU32, CondvarSleeper, Ordering};
    use std::time::{Duration, Instant};

    #[test]
    fn a_change_wakes_the_sleeper() {
        for round in 0..200 {
            let sleeper = CondvarSleeper::new();
            let word = AtomicU32::new(0);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while word.load(Ordering::Acquire) == 0 {
                        sleeper.sleep(&word, 0, None);
                    }
                });
                if round % 2 == 0 {
                    std::thread::yield_now();
                }
                word.store(1, Ordering::Release);
                sleeper.wake(&word);
            });
        }
    }

    #[test]
    fn a_deadline_ends_the_sleep() {
        let sleeper = CondvarSleeper::new();
        let word = AtomicU32::new(0);
        let start = Instant::now();
        let deadline = start + Duration::from_millis(20);
        while sleeper.sleep(&word, 0, Some(deadline)) {}
        assert!(start.elapsed() >= Duration::from_millis(20));
    }

    #[test]
    fn another_value_does_not_sleep() {
        let sleeper = CondvarSleeper::new();
        let word = AtomicU32::new(7);
        assert!(sleeper.sleep(&word, 0, None));
    }
}
