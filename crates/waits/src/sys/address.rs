//! Sleeping on a word with `WaitOnAddress` of Windows.
#![allow(unsafe_code)]

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use windows_sys::Win32::System::Threading::{INFINITE, WaitOnAddress, WakeByAddressSingle};

/// Sleeping in the system on a word.
#[derive(Debug)]
pub(crate) struct AddressSleeper;

impl AddressSleeper {
    /// A sleeper for one node.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Sleeps while `word` holds `seen`, until [`AddressSleeper::wake`] or `deadline`.
    /// May return early for no reason. Returns `false` when the deadline had
    /// passed before the call.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
        let milliseconds = match deadline {
            None => INFINITE,
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                None => return false,
                Some(left) if left.is_zero() => return false,
                Some(left) => milliseconds(left),
            },
        };
        let (at, compared) = (word.as_ptr().cast(), (&raw const seen).cast());
        // SAFETY: the word and what it is compared with have the four bytes that are said, and live
        // for as long as the call; the system reads the word as an atomic.
        //
        // Every result means the same: look again. A time that has passed is found by the next
        // call.
        unsafe { WaitOnAddress(at, compared, size_of::<u32>(), milliseconds) };
        true
    }

    /// Wakes the thread that sleeps on `word`, if one does.
    pub(crate) fn wake(&self, word: &AtomicU32) {
        // SAFETY: the address only names the word.
        unsafe { WakeByAddressSingle(word.as_ptr().cast()) };
    }
}

/// As the system counts: rounded up, so that no call comes back before the deadline only to be made
/// again, and never without an end.
fn milliseconds(time: Duration) -> u32 {
    let rounded = time.as_nanos().div_ceil(1_000_000);
    u32::try_from(rounded).unwrap_or(INFINITE).min(INFINITE - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_up_and_have_an_end() {
        for (nanos, expected) in [(1, 1), (1_000_000, 1), (1_000_001, 2)] {
            assert_eq!(milliseconds(Duration::from_nanos(nanos)), expected);
        }
        assert_eq!(milliseconds(Duration::MAX), INFINITE - 1);
    }
}
