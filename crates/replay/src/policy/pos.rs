//! Priorities of points.

use std::collections::BTreeMap;

use crate::interface::{Policy, Stop, ThreadId, Turn, Why};
use crate::policy::choose::{candidates, nobody, woken};
use crate::rng::SplitMix64;

/// Partial order sampling (Yuan, Yang and Gu, CAV 2018), without knowing which points race.
///
/// The next point of each thread has a random priority, and the highest is next. When a thread
/// passes a point, it draws a new priority for its next one. The others keep theirs. So a thread
/// with a low priority is held back for long, and one with a high priority overtakes. A yield draws
/// all anew. Which word a point is about is not known here, so the paper's rule for racing points
/// is not applied: this is its basic form.
///
/// The policy is asked at every point, which costs more than the other policies do.
#[derive(Clone, Debug)]
pub struct Pos {
    rng: SplitMix64,
    priorities: BTreeMap<ThreadId, u64>,
}

impl Pos {
    /// The order of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: SplitMix64::new(seed),
            priorities: BTreeMap::new(),
        }
    }
}

impl Policy for Pos {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        match stop.why {
            Why::Yield => self.priorities.clear(),
            _ => drop(self.priorities.remove(&stop.thread)),
        }
        let mut best = woken(&mut self.rng, stop);
        if best.is_none() {
            let mut highest = 0;
            for thread in candidates(stop) {
                let rng = &mut self.rng;
                let drawn = self.priorities.entry(thread).or_insert_with(|| rng.draw());
                if best.is_none() || *drawn > highest {
                    (best, highest) = (Some(thread), *drawn);
                }
            }
        }
        match best {
            Some(thread) => Turn { thread, budget: 0 },
            None => nobody(stop),
        }
    }

    fn ended(&mut self, thread: ThreadId) {
        self.priorities.remove(&thread);
    }
}
