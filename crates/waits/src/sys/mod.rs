//! What depends on the platform: how a thread sleeps on a 32-bit word, and what a full fence is.
//!
//! Sleeping: on Linux and Android it is the futex system call, on Windows `WaitOnAddress`.
//! Elsewhere it is a mutex and a condition variable per node, which is also what the models run.

#[cfg(windows)]
mod address;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod futex;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android", windows))))]
mod portable;

#[cfg(windows)]
pub(crate) use address::AddressSleeper as Sleeper;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use futex::FutexSleeper as Sleeper;
#[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
pub(crate) use portable::CondvarSleeper as Sleeper;

use std::sync::atomic::Ordering;

/// A full fence after an atomic read-modify-write of the same thread: what was written before is
/// visible before what comes after is read. On x86 the read-modify-write is a full fence already,
/// so this only keeps the compiler from reordering.
#[cfg(not(sanitized))]
pub(crate) fn fence_after_update() {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// For ThreadSanitizer, which knows updates and no fences: an update of one word orders all fences
/// of this crate.
#[cfg(sanitized)]
pub(crate) fn fence_after_update() {
    static FENCES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    FENCES.fetch_add(1, Ordering::SeqCst);
}
