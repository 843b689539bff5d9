//! What depends on the platform: how a thread sleeps on a 32-bit word.
//!
//! On Linux and Android it is the futex system call. Elsewhere it is a mutex and a condition
//! variable per node, which is also what the models run.

#[cfg(any(target_os = "linux", target_os = "android"))]
mod futex;
#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod portable;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) use futex::Sleeper;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) use portable::Sleeper;
