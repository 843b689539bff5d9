//! A hash for numbers that no attacker chooses: addresses of one program in its own run. A program
//! that makes them collide slows down only itself.

use std::hash::{BuildHasher, Hasher};

/// Builds [`Mixer`]s.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixing;

/// Multiplies and folds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mixer(u64);

impl BuildHasher for Mixing {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer::default()
    }
}

impl Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The golden ratio's bits, as in Fibonacci hashing; the fold brings the high ones down.
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
