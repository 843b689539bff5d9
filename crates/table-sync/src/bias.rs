//! Decides when an entry is read so often that its readers should publish themselves instead of
//! being counted in its word.
//!
//! Publishing is cheaper for readers and does not make them share a cache line. Taking the bias
//! back costs a barrier on all processors. So the bias waits until counting has cost about as much
//! as taking it back will (a contended count weighs more). Any writer starts the account again.
//! Each time a bias is taken back, the next one waits twice as long. So the barriers take at most
//! about as long as counting would have taken, plus one barrier for each reader that is in at that
//! moment.

use crate::sync::asymmetric;

/// How many uncontended readers the first bias waits for.
#[cfg(not(any(loom, miri, sanitized)))]
const FIRST: u32 = 256;
#[cfg(any(miri, sanitized))]
const FIRST: u32 = 3;
#[cfg(loom)]
const FIRST: u32 = 1;

/// A count that failed because of another reader weighs as many.
const CONTENDED: u32 = 16;

const COUNT: u32 = 0xffff;
const REVOKED: u32 = 0x1_0000;
/// Doublings end here: `FIRST << 7` still fits the count.
const MAX_REVOKED: u32 = 7;

/// The account of one entry: a count in the low half, the number of biases taken back above it.
#[derive(Clone, Copy)]
pub(crate) struct BiasCount(pub(crate) u32);

impl BiasCount {
    /// With one more counted reader.
    #[inline]
    pub(crate) fn with_reader(self, contended: bool) -> Self {
        // Where the light barrier is a real one, publishing costs a lone reader more than counting
        // does. There it pays only for readers that contend.
        let by = match (contended, asymmetric::light_is_free()) {
            (true, _) => CONTENDED,
            (false, true) => 1,
            (false, false) => u32::from(cfg!(any(loom, miri, sanitized))),
        };
        let count = (self.0 & COUNT).saturating_add(by).min(COUNT);
        Self(self.0 & !COUNT | count)
    }

    #[inline]
    pub(crate) fn is_reached(self) -> bool {
        self.0 & COUNT >= FIRST << (self.0 / REVOKED).min(MAX_REVOKED)
    }

    #[inline]
    pub(crate) fn is_begun(self) -> bool {
        self.0 & COUNT != 0
    }

    /// After a writer, which may have had to take the bias back.
    pub(crate) fn reset(self, revoked: bool) -> Self {
        let times = (self.0 / REVOKED + u32::from(revoked)).min(MAX_REVOKED);
        Self(times * REVOKED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contention_is_always_hot_in_the_end() {
        for revoked in 0..10 {
            let mut count = (0..revoked).fold(BiasCount(0), |count, _| count.reset(true));
            assert!(!count.is_reached() && !count.is_begun());
            let mut readers = 0;
            while !count.is_reached() {
                count = count.with_reader(true);
                readers += 1;
                assert!(readers <= COUNT);
            }
            let wanted = (FIRST << revoked.min(MAX_REVOKED)).div_ceil(CONTENDED);
            assert_eq!(readers, wanted);
        }
    }
}
