//! What a thread calls, and why that call may not return.

use std::sync::{Arc, OnceLock};

use wasmtime::{Error, Val};

/// What a thread calls.
pub(crate) enum EntryPoint {
    /// The export given to `run`: its return ends the group.
    Main { export: String },
    /// The export given to `invoke`, after the module's initialisation: its return ends the group.
    Invoke(Arc<Invocation>),
    /// Nothing beyond the start function: its return ends the group.
    Start,
    /// `wasi_thread_start(id, arg)`: its return ends the thread.
    Thread { arg: i32 },
    /// Nothing by itself: the embedder calls exports one by one.
    Reactor,
}

/// A call with parameters and results.
pub(crate) struct Invocation {
    pub(crate) export: String,
    pub(crate) params: Vec<Val>,
    /// Set when the call has returned.
    pub(crate) results: OnceLock<Vec<Val>>,
}

/// Why a thread did not return from its entry.
pub(crate) enum Stopped {
    /// The group had ended.
    Ended,
    /// The instance or its entry could not be made; no guest code ran.
    NotMade(Error),
    /// Guest code, or a host function it called, failed.
    Guest(Error),
}
