//! Waiting for the end of a group.

use std::time::{Duration, Instant};

use crate::life::Life;
use crate::types::outcome::Outcome;
use crate::types::report::Deadlock;

use std::sync::atomic::Ordering;

/// How long to wait for the backtraces of a deadlock. They come from threads that do nothing else,
/// so it takes so long only on a host without processor time for them.
const DEADLOCK_REPORTS: Duration = Duration::from_millis(500);

impl Life {
    /// Blocks until the group has ended and its threads have been told, or `deadline` passes; true
    /// when it has ended.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        self.wait_ended_unless(deadline, || false).unwrap_or(true)
    }

    /// [`wait_ended`](Self::wait_ended) that also ends when `done` is true, with `None`. The thread
    /// that makes `done` true calls [`tell`](Self::tell).
    pub(crate) fn wait_ended_unless(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Option<bool> {
        let mut reports_until = None;
        loop {
            let heard = self.changed.listen();
            if done() {
                return None;
            }
            if self.reached.load(Ordering::Acquire) {
                return Some(true);
            }
            let asking = self.claim.is_asking();
            let until = if asking {
                Some(*reports_until.get_or_insert_with(|| Instant::now() + DEADLOCK_REPORTS))
            } else if self.claim.is_closed() {
                // The thread that gave the outcome is telling the others, for which there is no
                // deadline. But it may have lost its processor to those that it is about to stop.
                self.stop_running(self.claim.has_threads_to_stop());
                None
            } else {
                deadline
            };
            if until.is_none_or(|until| until > Instant::now()) {
                self.changed.wait(heard, until);
            } else if asking {
                // A stuck thread did not answer: end without its backtrace. If no list was
                // published, this empty one counts.
                let threads = Vec::new();
                self.end(Outcome::Deadlocked(Deadlock { threads }));
            } else {
                return Some(false);
            }
        }
    }

    /// Blocks until `done` is true, for `patience` at most; whether it is.
    pub(crate) fn wait_done(&self, patience: Duration, mut done: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now().checked_add(patience);
        loop {
            let heard = self.changed.listen();
            if done() {
                return true;
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return false;
            }
            self.changed.wait(heard, deadline);
        }
    }
}
