//! Random numbers of a seed.

use std::sync::{Mutex, PoisonError};

use p1_adapter::RandomSource;
use replay_threads::SplitMix64;

/// What `random_get` gives under a schedule: the same for the same seed and the same order of
/// calls.
pub(super) struct Seeded(Mutex<SplitMix64>);

impl Seeded {
    /// The generator's numbers differ from those that the policy of this seed draws.
    pub(super) fn new(seed: u64) -> Self {
        Self(Mutex::new(SplitMix64::new(!seed)))
    }
}

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rng = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.chunks_mut(8) {
            let drawn = rng.draw().to_le_bytes();
            piece.copy_from_slice(&drawn[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_its_bytes() {
        let bytes = |seed, len: usize| {
            let mut bytes = vec![0; len];
            Seeded::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(bytes(1, 13), bytes(1, 13));
        assert_ne!(bytes(1, 13), bytes(2, 13));
        assert_eq!(bytes(1, 13), bytes(1, 20)[..13]);
    }
}
