//! Sleeping on a word with the futex system call.

use std::sync::atomic::AtomicU32;
use std::time::Instant;

use rustix::thread::futex;

/// Sleeping in the kernel on a word, on platforms with a futex.
#[derive(Debug)]
pub(crate) struct FutexSleeper;

impl FutexSleeper {
    /// A sleeper for one node.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Sleeps while `word` holds `seen`, until [`FutexSleeper::wake`] or `deadline`.
    /// May return early for no reason. Returns `false` when the deadline had
    /// passed before the call.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
        let left = match deadline {
            None => None,
            Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                None => return false,
                Some(left) if left.is_zero() => return false,
                Some(left) => Some(futex::Timespec {
                    // Kernels clamp a relative time beyond their own range, so
                    // the conversions only have to be free of overflow.
                    tv_sec: left.as_secs().try_into().unwrap_or(i32::MAX.into()),
                    tv_nsec: left.subsec_nanos().into(),
                }),
            },
        };
        // Every result means the same: look again. EAGAIN is a word that
        // changed, EINTR a signal, ETIMEDOUT is found by the next call.
        let _ = futex::wait(word, futex::Flags::PRIVATE, seen, left.as_ref());
        true
    }

    /// Wakes the thread that sleeps on `word`, if one does.
    pub(crate) fn wake(&self, word: &AtomicU32) {
        // Fails only for an address the process cannot read.
        let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
    }
}
