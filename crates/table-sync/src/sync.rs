//! The primitives that the rest of the crate uses: `std`'s, or `loom`'s under `--cfg loom`.

pub(crate) mod asymmetric;
pub(crate) mod park;

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    hint,
    sync::atomic,
    sync::{Mutex, MutexGuard},
    thread,
};
#[cfg(not(loom))]
pub(crate) use std::{
    hint,
    sync::atomic,
    sync::{Mutex, MutexGuard},
    thread,
};

#[cfg(not(sanitized))]
pub(crate) use atomic::fence;

/// A fence for ThreadSanitizer, which knows updates and no fences: an update of one word orders all
/// fences of this crate.
#[cfg(sanitized)]
pub(crate) fn fence(_: atomic::Ordering) {
    static FENCES: atomic::AtomicUsize = atomic::AtomicUsize::new(0);
    FENCES.fetch_add(1, atomic::Ordering::SeqCst);
}

/// `std`'s cell with the accessors of `loom`'s.
#[cfg(not(loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    #[inline]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}

/// Locks, even if a holder panicked: every critical section of this crate leaves its data whole at
/// each point where it can unwind.
#[inline]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poison| poison.into_inner())
}
