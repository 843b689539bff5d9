//! Priorities that change at few points.

use std::collections::BTreeMap;

use crate::interface::{Policy, Stop, ThreadId, Turn, Why};
use crate::policy::choose::{candidates, nobody, woken};
use crate::rng::SplitMix64;

/// A thread that has passed this many points while others could run, and did not, goes behind them.
pub const FAIR: u64 = 10_000;

/// How long runs are taken to be, in points, if no length is given: each change point draws one of
/// these.
const SCALES: [u64; 5] = [10, 100, 1_000, 10_000, 100_000];

/// Probabilistic concurrency testing (Burckhardt, Kothari, Musuvathi and Nagarakatti, ASPLOS 2010).
///
/// Each thread has a random priority, and the highest that can run has the turn. At `depth` - 1
/// points of the run, drawn beforehand, the running thread falls behind all that have not fallen. A
/// fault that needs `depth` ordering constraints in a run of `n` threads and `k` points is found
/// with a chance of at least 1 / (n (5 k)^(depth - 1)) or so. How long the run will be is not
/// known, so each of these points is drawn among the first 10, 100, ..., 100,000. The bound holds
/// as long as the fairness rule below does not apply.
///
/// Fairness: a thread that yields, or has passed [`FAIR`] points alone, falls behind all others.
/// Without this a loop that waits for another thread would have the turn for ever.
#[derive(Clone, Debug)]
pub struct Pct {
    rng: SplitMix64,
    /// Totals at which the running thread falls, and to which priority; the next one is last.
    changes: Vec<(u64, i64)>,
    priorities: BTreeMap<ThreadId, i64>,
    /// The lowest priority that was given for fairness.
    lowest: i64,
    /// Which thread has had the turn, and since which total.
    alone: Option<(ThreadId, u64)>,
}

impl Pct {
    /// The order of this seed, for `depth` ordering constraints.
    #[must_use]
    pub fn new(seed: u64, depth: u32) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mut changes: Vec<_> = (1..depth)
            .map(|priority| {
                let scale = rng.one_of(&SCALES).unwrap_or(1);
                (1 + rng.below(scale), i64::from(priority))
            })
            .collect();
        changes.sort_unstable_by(|a, b| b.cmp(a));
        Self {
            rng,
            changes,
            priorities: BTreeMap::new(),
            lowest: 0,
            alone: None,
        }
    }

    fn priority(&mut self, thread: ThreadId) -> i64 {
        let rng = &mut self.rng;
        // Above those of the change points, which fit into 32 bits.
        let drawn = || (1 << 40) + rng.below(1 << 40) as i64;
        *self.priorities.entry(thread).or_insert_with(drawn)
    }

    /// Puts the thread behind all others.
    fn demote(&mut self, thread: ThreadId) {
        self.lowest -= 1;
        self.priorities.insert(thread, self.lowest);
    }

    /// Changes priorities by what has happened since the last stop.
    fn update(&mut self, stop: &Stop<'_>) {
        while let Some(&(at, priority)) = self.changes.last()
            && at <= stop.total
        {
            self.changes.pop();
            self.priorities.insert(stop.thread, priority);
        }
        let since = match self.alone {
            Some((thread, since)) if thread == stop.thread => since,
            _ => stop.total,
        };
        let others = stop.runnable.iter().any(|other| *other != stop.thread);
        if stop.why == Why::Yield || (others && stop.total.saturating_sub(since) >= FAIR) {
            self.demote(stop.thread);
            self.alone = Some((stop.thread, stop.total));
        }
    }
}

impl Policy for Pct {
    fn began(&mut self, thread: ThreadId, _parent: Option<ThreadId>) {
        // An id may be one of a thread that has ended.
        self.priorities.remove(&thread);
        self.priority(thread);
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        self.update(stop);
        let mut best = woken(&mut self.rng, stop);
        if best.is_none() {
            let mut highest = i64::MIN;
            for thread in candidates(stop) {
                let priority = self.priority(thread);
                // Of equal ones the lower id.
                if best.is_none() || priority > highest {
                    (best, highest) = (Some(thread), priority);
                }
            }
        }
        let Some(thread) = best else {
            return nobody(stop);
        };
        if self.alone.is_none_or(|(holder, _)| holder != thread) {
            self.alone = Some((thread, stop.total));
        }
        let change = self
            .changes
            .last()
            .map_or(u64::MAX, |(at, _)| at - stop.total);
        Turn {
            thread,
            budget: change.min(FAIR) - 1,
        }
    }
}
