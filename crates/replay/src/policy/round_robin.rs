//! One thread after the other.

use crate::interface::{Policy, Stop, Turn};
use crate::policy::choose::nobody;

/// How many points a turn has if nothing else is said.
pub const DEFAULT_BUDGET: u64 = 1_000;

/// The threads in the order of their ids, each for the same number of points. Timeouts fire when no
/// thread can run.
#[derive(Clone, Debug)]
pub struct RoundRobin {
    budget: u64,
}

impl RoundRobin {
    /// Turns of `budget` points, at least one.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self { budget }
    }
}

impl Policy for RoundRobin {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let after = stop.runnable.iter().find(|thread| **thread > stop.thread);
        let first = after.or(stop.runnable.first()).copied();
        let Some(thread) = first.or(stop.sleeping.first().map(|sleeper| sleeper.thread)) else {
            return nobody(stop);
        };
        Turn {
            thread,
            budget: self.budget.saturating_sub(1),
        }
    }
}
