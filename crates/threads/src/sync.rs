//! The primitives the wait queues stand on.
//!
//! Everything a model has to see goes through this module: locks, atomics that
//! carry an ordering, and sleeping. The loom models compile the rooms under
//! `waits/` a second time, with a module of the same shape over loom's types
//! in this one's place (`tests/loom/sync.rs`), so that neither a cargo feature
//! nor a `--cfg` reaches Wasmtime.
//!
//! [`Sleeper`] puts the calling thread to sleep on a 32-bit word. On Linux and
//! Android it is the futex system call. Elsewhere it is a mutex and a condition
//! variable per node (`sleep_portable.rs`), which is also what the models run.

pub(crate) use std::hint::spin_loop;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use std::sync::{Condvar, MutexGuard};
pub(crate) use std::thread::yield_now;

use std::sync::PoisonError;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::time::Instant;

/// A mutex without poisoning: no code of this crate panics while it holds one,
/// and a panic elsewhere must not turn into a second one here.
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

/// Waits on `condvar`, giving up and taking back the lock of `guard`.
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

/// A full fence after an atomic read-modify-write of the same thread: what was written before is visible before
/// what comes after is read. On x86 the read-modify-write is one already, so nothing is left to do but to keep
/// the compiler from reordering.
pub(crate) fn fence_after_update() {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// How many times a waiter may look at its word before it sleeps: none where
/// the waker could not run meanwhile because there is one processor only.
pub(crate) fn spin_allowed() -> bool {
    std::thread::available_parallelism().is_ok_and(|n| n.get() > 1)
}

/// Sleeping in the kernel on a word, on platforms with a futex.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[derive(Debug)]
pub(crate) struct Sleeper;

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Sleeper {
    /// A sleeper for one node.
    pub(crate) fn new() -> Self {
        Self
    }

    /// Sleeps while `word` holds `seen`, until [`Sleeper::wake`] or `deadline`.
    /// May return early for no reason. Returns `false` when the deadline had
    /// passed before the call.
    pub(crate) fn sleep(&self, word: &AtomicU32, seen: u32, deadline: Option<Instant>) -> bool {
        use rustix::thread::futex;

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
        use rustix::thread::futex;

        // Fails only for an address the process cannot read.
        let _ = futex::wake(word, futex::Flags::PRIVATE, 1);
    }
}

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
#[path = "sleep_portable.rs"]
mod portable;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use portable::Sleeper;
