//! What depends on the platform: a barrier that one thread runs on the processors of all.
//!
//! Each platform offers `register` (tells the system that the process will use the barrier; whether
//! it can), `light_is_free` (whether the side that does not run it needs no fence of its own) and
//! `barrier`.

#[cfg(all(target_os = "linux", not(loom), not(miri), not(sanitized)))]
mod linux;
#[cfg(all(target_os = "linux", not(loom), not(miri), not(sanitized)))]
pub(crate) use linux::{barrier, light_is_free, register};

#[cfg(not(all(target_os = "linux", not(loom), not(miri), not(sanitized))))]
mod other;
#[cfg(not(all(target_os = "linux", not(loom), not(miri), not(sanitized))))]
pub(crate) use other::{barrier, light_is_free, register};
