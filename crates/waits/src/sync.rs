//! The primitives the wait queues stand on.
//!
//! Everything a model has to see goes through this module and `sys`: locks, atomics that carry an
//! ordering, and sleeping. The loom models compile the other files a second time, with modules of
//! the same shape over loom's types in the place of these (`tests/loom/sync.rs`,
//! `tests/loom/sys.rs`). So neither a cargo feature nor a `--cfg` reaches what depends on this
//! crate.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Condvar, MutexGuard};
pub(crate) use std::thread::yield_now;

use std::sync::PoisonError;

/// A mutex without poisoning. No code of this crate panics while it holds one, and a panic
/// elsewhere must not cause a second one here.
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
}

/// Waits on `condvar`. Releases the lock of `guard` for the wait and takes it back after.
#[allow(
    dead_code,
    reason = "used by the portable sleeper, which Linux compiles for tests only"
)]
pub(crate) fn condvar_wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
) -> MutexGuard<'a, T> {
    condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
}

/// As [`condvar_wait`], for at most `left`.
#[allow(
    dead_code,
    reason = "used by the portable sleeper, which Linux compiles for tests only"
)]
pub(crate) fn condvar_wait_timeout<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    left: std::time::Duration,
) -> MutexGuard<'a, T> {
    condvar
        .wait_timeout(guard, left)
        .unwrap_or_else(PoisonError::into_inner)
        .0
}

/// How many times a waiter may look at its word before it sleeps. With only one processor it is 0,
/// because the waker could not run meanwhile.
pub(crate) fn spin_allowed() -> bool {
    std::thread::available_parallelism().is_ok_and(|n| n.get() > 1)
}
