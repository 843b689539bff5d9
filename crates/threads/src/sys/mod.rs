//! What depends on the platform, and the crate's unsafe code. Nothing here decides anything.
//!
//! `stacks` and `native_thread` offer the same on every platform. If the standard library starts
//! the threads, it makes their stacks as well, and a `Stack` is only a promise of one.

pub(crate) mod atomics;
pub(crate) mod bell;
pub(crate) mod call_hook;
#[cfg(feature = "compile")]
pub(crate) mod compiler;
pub(crate) mod handoff;
pub(crate) mod native_thread;
pub(crate) mod process_limits;
pub(crate) mod running;
pub(crate) mod shim;
pub(crate) mod signal_stack;
pub(crate) mod stacks;
pub(crate) mod thread_name;
