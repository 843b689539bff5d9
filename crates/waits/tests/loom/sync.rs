//! `src/sync.rs` over loom's types.

pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
pub(crate) use loom::sync::{Condvar, MutexGuard};
pub(crate) use loom::thread::yield_now;

use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("loom does not poison")
    }
}

pub(crate) fn condvar_wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
) -> MutexGuard<'a, T> {
    condvar.wait(guard).expect("loom does not poison")
}

/// Not reached: see [`Sleeper`](crate::sys::Sleeper).
pub(crate) fn condvar_wait_timeout<'a, T>(
    _: &Condvar,
    _: MutexGuard<'a, T>,
    _: Duration,
) -> MutexGuard<'a, T> {
    unreachable!("loom has no clock")
}

/// Models do not spin: it would only repeat what sleeping explores.
pub(crate) fn spin_allowed() -> bool {
    false
}
