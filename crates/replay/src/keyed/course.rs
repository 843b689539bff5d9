//! What the default schedule knows of a run.

use std::collections::BTreeMap;

use crate::interface::{Stop, ThreadId, Why};
use crate::rng::SplitMix64;

/// How many points the default schedule lets a thread pass before another gets the turn.
///
/// It bounds loops that wait for another thread without yielding.
pub const LONG: u64 = 100_000;

/// The course of a run so far, as recorder and replayer see it alike.
///
/// It must not depend on stops at which nothing is decided, because recorder and replayer do not
/// stop at the same points. So it knows of the thread that has the turn, at which of its points it
/// got it, and where each other thread stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Course {
    /// The points that each thread has passed. One that got the id of another goes on counting.
    points: BTreeMap<u32, u64>,
    /// At which of its points the holder got the turn, or went on after [`LONG`] points.
    since: u64,
    /// Mixed of every move of the turn to another thread.
    pub(super) moves: u64,
    /// The points of all threads when the turn last moved.
    pub(super) moved_at: u64,
}

/// A stop, and what the default schedule says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// The thread that stopped.
    pub(super) thread: u32,
    /// Which thread is next by default; `None` if none can be.
    pub(super) default: Option<ThreadId>,
    /// Whether the thread could go on and is only asked because it has passed [`LONG`] points.
    pub(super) long: bool,
}

impl Course {
    /// A thread has stopped.
    pub(super) fn stopped(&mut self, stop: &Stop<'_>) -> Standing {
        let thread = stop.thread.get();
        self.points.insert(thread, stop.point);
        let goes_on = stop.why != Why::Yield && stop.runnable.contains(&stop.thread);
        let long = stop.point.saturating_sub(self.since) >= LONG;
        let after = stop.runnable.iter().find(|other| **other > stop.thread);
        let sleeper = stop.sleeping.first().map(|sleeper| sleeper.thread);
        let next = after.or(stop.runnable.first()).copied().or(sleeper);
        Standing {
            thread,
            default: if goes_on && !long {
                Some(stop.thread)
            } else {
                next
            },
            long: goes_on && long,
        }
    }

    /// The turn goes to `next`. Returns how many points that has passed.
    pub(super) fn gives(&mut self, next: ThreadId, standing: Standing, stop: &Stop<'_>) -> u64 {
        if next != stop.thread {
            self.moved_at = stop.total;
            for number in [
                u64::from(standing.thread),
                stop.point,
                u64::from(next.get()),
            ] {
                self.moves = SplitMix64::new(self.moves ^ number).draw();
            }
        }
        let point = self.points.get(&next.get()).copied().unwrap_or(0);
        if next.get() != standing.thread || standing.long {
            self.since = point;
        }
        point
    }

    /// The most points that its holder, now at `point`, may pass before the default schedule is
    /// asked.
    pub(super) fn budget(&self, point: u64) -> u64 {
        (self.since + LONG).saturating_sub(point + 1)
    }
}
