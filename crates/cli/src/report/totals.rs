//! The totals of a run.

use std::collections::BTreeMap;

use crate::report::events::Nanos;

/// The totals of events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) calls: BTreeMap<&'static str, CallTotals>,
    pub(crate) spawns: Times,
    pub(crate) waits: Times,
    /// How many events there was no capacity for.
    pub(crate) lost: u64,
}

/// The calls of one WASI function.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CallTotals {
    pub(crate) times: Times,
    /// How many calls returned another errno than 0.
    pub(crate) failed: u64,
}

/// How often something happened, and how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    pub(crate) count: u64,
    pub(crate) total: Nanos,
    pub(crate) longest: Nanos,
}

impl Times {
    pub(crate) fn add(&mut self, took: Nanos) {
        self.count += 1;
        self.total += took;
        self.longest = self.longest.max(took);
    }

    pub(crate) fn join(&mut self, other: &Times) {
        self.count += other.count;
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }
}
