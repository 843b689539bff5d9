//! One atomic word, so that loom can stand in for the hardware.

use std::sync::atomic::Ordering;

/// A word that threads change by read-modify-writes only, which therefore have one order.
///
/// Acquire and release: a thread that comes later in the order of the word sees what was done
/// before.
pub(crate) trait Word {
    /// What is there.
    fn load(&self) -> u64;
    /// The value that was there, if it was `current` and is `new` now; otherwise what is there.
    fn replace(&self, current: u64, new: u64) -> Result<u64, u64>;
    /// Adds; what was there before.
    fn add(&self, what: u64) -> u64;
    fn sub(&self, what: u64);
}

macro_rules! word {
    ($atomic:ty) => {
        impl Word for $atomic {
            #[inline]
            fn load(&self) -> u64 {
                self.load(Ordering::Acquire)
            }

            #[inline]
            fn replace(&self, current: u64, new: u64) -> Result<u64, u64> {
                self.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            }

            #[inline]
            fn add(&self, what: u64) -> u64 {
                self.fetch_add(what, Ordering::AcqRel)
            }

            #[inline]
            fn sub(&self, what: u64) {
                self.fetch_sub(what, Ordering::Release);
            }
        }
    };
}

word!(std::sync::atomic::AtomicU64);
#[cfg(test)]
word!(loom::sync::atomic::AtomicU64);
