//! What depends on the platform: how a thread sleeps on a 32-bit word, and what a full fence takes.
//!
//! Sleeping: on Linux and Android it is the futex system call. Elsewhere it is a mutex and a
//! condition variable per node, which is also what the models run.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod futex;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod portable;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use futex::FutexSleeper as Sleeper;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use portable::CondvarSleeper as Sleeper;

use std::sync::atomic::Ordering;

/// A full fence after an atomic read-modify-write of the same thread: what was written before is
/// visible before what comes after is read. On x86 the read-modify-write is one already, so nothing
/// is left to do but to keep the compiler from reordering.
pub(crate) fn fence_after_update() {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    std::sync::atomic::fence(Ordering::SeqCst);
}
