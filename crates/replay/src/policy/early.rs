//! How early timeouts may come.

use crate::interface::{Policy, Stop, ThreadId, Turn};

/// A policy that lets a timeout come early by a bounded time only.
///
/// Policies let any timeout come before its time, because no clock bounds how slow the other
/// threads are. Then a program with a timeout of an hour as its safety net fails. This hides from
/// the policy which threads sleep for longer than `most` from now, while others can run. So no
/// thread seems to be slower than that. When no thread can run, the first deadline comes as ever.
///
/// It is to be the outermost policy, around a [`Recorder`](crate::keyed::Recorder) or a
/// [`Replayer`](crate::keyed::Replayer): then decisions that are minimised keep the bound as well.
pub struct EarlyAtMost {
    policy: Box<dyn Policy>,
    most: u64,
}

impl EarlyAtMost {
    /// Lets `policy` have a timeout come early by at most so many nanoseconds; with 0 none does.
    #[must_use]
    pub fn new(policy: Box<dyn Policy>, most: u64) -> Self {
        Self { policy, most }
    }
}

impl std::fmt::Debug for EarlyAtMost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EarlyAtMost")
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl Policy for EarlyAtMost {
    fn began(&mut self, thread: ThreadId, parent: Option<ThreadId>) {
        self.policy.began(thread, parent);
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let last = stop.now.saturating_add(self.most);
        let near = match stop.runnable.is_empty() {
            true => stop.sleeping.len(),
            // The earliest deadline is first.
            false => stop
                .sleeping
                .partition_point(|sleeper| sleeper.deadline <= last),
        };
        self.policy.next(&Stop {
            sleeping: &stop.sleeping[..near],
            ..*stop
        })
    }

    fn ended(&mut self, thread: ThreadId) {
        self.policy.ended(thread);
    }
}
