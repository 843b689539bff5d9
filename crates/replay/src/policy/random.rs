//! A random walk.

use crate::interface::{Policy, Stop, Turn};
use crate::policy::choose::{candidates, nobody, woken};
use crate::rng::SplitMix64;

/// The mean lengths of a turn, one of which is drawn for each seed.
pub const MEANS: [u64; 6] = [1, 3, 10, 100, 1_000, 10_000];

/// Any thread that can run may be next, for a random number of points.
///
/// The mean of that number is drawn once for each seed, from [`MEANS`].
#[derive(Clone, Debug)]
pub struct Random {
    rng: SplitMix64,
    mean: u64,
}

impl Random {
    /// The walk of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mean = rng.one_of(&MEANS).unwrap_or(1);
        Self { rng, mean }
    }

    /// A walk whose turns have this mean length, in points.
    #[must_use]
    pub fn with_mean(seed: u64, mean: u64) -> Self {
        Self {
            mean,
            ..Self::new(seed)
        }
    }

    /// The mean length of its turns, in points.
    #[must_use]
    pub fn mean(&self) -> u64 {
        self.mean
    }
}

impl Policy for Random {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let woken = woken(&mut self.rng, stop);
        let Some(thread) = woken.or_else(|| self.rng.one_of(&candidates(stop))) else {
            return nobody(stop);
        };
        Turn {
            thread,
            budget: self.rng.length(self.mean) - 1,
        }
    }
}
