//! The events of a run.

use wasi_threads::WaitEnd;

/// Nanoseconds since the recorder began.
pub(crate) type Nanos = u64;

/// Something that happened on a thread.
#[derive(Clone, Debug)]
pub(crate) struct TraceEvent {
    pub(crate) thread: u32,
    pub(crate) began: Nanos,
    pub(crate) ended: Nanos,
    pub(crate) what: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
pub(crate) enum EventKind {
    /// The thread lived.
    Life,
    /// It called a function of WASI. The errno is there if the function returned.
    Call(&'static str, Option<u16>),
    /// It waited on its memory.
    Wait { address: u64, end: WaitEnd },
    /// It notified: the notify's number, and the threads it woke.
    Notify {
        address: u64,
        id: u32,
        woken: Vec<u32>,
    },
    /// It started a thread.
    Spawn(u32),
    /// It could not start a thread, for this reason.
    SpawnFailed(String),
    /// It ended the program in this way.
    End(String),
}

/// The name of a thread, by its id.
pub(crate) fn thread_name(thread: u32) -> String {
    match thread {
        0 => "main".to_owned(),
        id => format!("thread {id}"),
    }
}
