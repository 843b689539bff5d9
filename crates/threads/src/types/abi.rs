//! Names and numbers of the wasi-threads ABI.
//!
//! Sources: the wasi-threads proposal (`wasi.thread-spawn`, `wasi_thread_start`, thread ids) and
//! the `errno` enumeration of `wasi_snapshot_preview1`'s witx, whose values wasi-libc expects; for the
//! exports of commands and reactors, WASI's "application ABI". The names under which a prepared module
//! exports what the rewrite appended are in [`rewrite::names`](crate::rewrite::names).

/// Import module of `thread-spawn`.
pub const SPAWN_MODULE: &str = "wasi";
/// Import name of the function that starts a thread: `(param i32) (result i32)`.
pub const SPAWN_NAME: &str = "thread-spawn";
/// Export a new thread enters by: `(param $tid i32) (param $arg i32)`.
pub const THREAD_START: &str = "wasi_thread_start";
/// Export a command is run by.
pub const START: &str = "_start";
/// Export a reactor is initialised by, where it has one.
pub const INITIALIZE: &str = "_initialize";
/// Export through which hosts find the memory.
pub const MEMORY: &str = "memory";

/// Highest thread id: the proposal leaves the top three bits of an `i32` to the guest.
pub(crate) const MAX_TID: u32 = (1 << 29) - 1;

/// Errno values of preview1 that a failed `thread-spawn` returns, negated.
pub(crate) mod errno {
    /// Resource temporarily unavailable.
    pub(crate) const AGAIN: i32 = 6;
    /// The group has ended.
    pub(crate) const CANCELED: i32 = 11;
    /// No entry point, or one of another type.
    pub(crate) const NOTSUP: i32 = 58;
}
