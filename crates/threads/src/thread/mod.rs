//! A guest thread: its store and instances, and what it does from its entry to its end.

mod begin;
#[cfg(feature = "async")]
pub(crate) mod block_on;
mod call;
pub(crate) mod current;
pub(crate) mod entry_point;
pub(crate) mod guest_thread;
pub(crate) mod interrupt;
pub(crate) mod linked;
pub(crate) mod prewarm;
pub(crate) mod program;
pub(crate) mod scheduled;
pub(crate) mod store;
pub(crate) mod thread_store;
pub(crate) mod wait_imports;
