//! The basis of the protocol of a group's life: atomics, a fence, a lock, sleeping on a word.
//!
//! The loom models (`tests/loom_life_protocol.rs`) compile `bell.rs`, `handoff.rs`, `life/claim.rs`
//! and `life/places.rs` a second time, with a module of the same shape over loom's types
//! (`tests/loom/shim.rs`) in this one's place.

pub(crate) use std::sync::MutexGuard;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};

use std::sync::{PoisonError, TryLockError};
use std::time::Instant;

/// A step of the protocol that a model replaces by a mutant, to show that loom finds the fault.
/// Here it is the step itself: the mutant is not compiled.
macro_rules! mutant {
    ($step:expr, unless $name:literal then $mutant:expr) => {
        $step
    };
}
pub(crate) use mutant;

/// A mutex without poisoning.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A new mutex around `value`.
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    /// Blocks until the lock is held.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock, if no thread holds it.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Threads that sleep on one word, in the kernel.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug, Default)]
pub(crate) struct Sleepers;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Sleepers {
    /// Sleeps while `word` holds `seen`, until it is woken or `deadline` passes. May return early
    /// for no reason.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) {
        use rustix::thread::futex;

        let left = match deadline {
            None => None,
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return;
                }
                Some(futex::Timespec {
                    tv_sec: left.as_secs().try_into().unwrap_or(i32::MAX.into()),
                    tv_nsec: left.subsec_nanos().into(),
                })
            }
        };
        // Every result means the same: look again.
        let _ = futex::wait(word, futex::Flags::PRIVATE, seen, left.as_ref());
    }

    /// Wakes one of those that sleep on `word`, which the caller has changed.
    pub(crate) fn wake_one(&self, word: &AtomicU32) {
        // Fails only for an address the process cannot read.
        let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::PRIVATE, 1);
    }

    /// Wakes all of them.
    pub(crate) fn wake_all(&self, word: &AtomicU32) {
        let most = i32::MAX.cast_unsigned();
        let _ = rustix::thread::futex::wake(word, rustix::thread::futex::Flags::PRIVATE, most);
    }
}

/// Threads that sleep on one word, with a lock that is held for no longer than it takes to look at
/// the word.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    gate: Mutex<()>,
    changed: std::sync::Condvar,
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Sleepers {
    /// Sleeps while `word` holds `seen`, until it is woken or `deadline` passes. May return early
    /// for no reason.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) {
        let guard = self.gate.lock();
        if word.load(Ordering::SeqCst) != seen {
            return;
        }
        match deadline {
            None => drop(
                self.changed
                    .wait(guard)
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                if !left.is_zero() {
                    drop(
                        self.changed
                            .wait_timeout(guard, left)
                            .unwrap_or_else(PoisonError::into_inner),
                    );
                }
            }
        }
    }

    /// Wakes one of those that sleep on `word`, which the caller has changed.
    pub(crate) fn wake_one(&self, _: &AtomicU32) {
        drop(self.gate.lock());
        self.changed.notify_one();
    }

    /// Wakes all of them.
    pub(crate) fn wake_all(&self, _: &AtomicU32) {
        drop(self.gate.lock());
        self.changed.notify_all();
    }
}
