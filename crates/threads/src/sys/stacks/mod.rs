//! The stacks of host threads.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
pub(crate) mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::{SIGNAL_STACK, Slab, Stack};
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::{Slab, Stack};
