//! How a group ended.

use std::any::Any;
use std::sync::Arc;

use wasmtime::{Trap, WasmBacktrace};

use crate::host::panics::discard;
use crate::types::report::Deadlock;
use crate::types::schedule_error::ScheduleError;
use crate::types::thread_id::ThreadId;

/// How a group ended: the first cause, whatever happened after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The export that was run returned.
    Returned,
    /// A thread ended the group with an exit code (`proc_exit`), recognised by the function given to
    /// [`GroupBuilder::exit_code`](crate::GroupBuilder::exit_code). All 32 bits are kept.
    Exited(i32),
    /// A thread trapped, or a host function failed with an error that is no exit code.
    Trapped {
        /// The thread.
        thread: ThreadId,
        /// The trap, when it was wasm that trapped; `None` for an error of a host function.
        trap: Option<Trap>,
        /// The whole error, with its context.
        error: Arc<wasmtime::Error>,
    },
    /// A host function panicked. The panic was caught on its own thread.
    Panicked {
        /// The thread whose host call panicked.
        thread: ThreadId,
        /// The panic's message, where it was text.
        message: String,
    },
    /// [`Limits::timeout`](crate::Limits::timeout) passed.
    TimedOut,
    /// [`GroupHandle::cancel`](crate::GroupHandle::cancel) was called, or the group was dropped.
    Cancelled,
    /// Every thread waited, without a timeout, on memory that nobody was left to write. Only with
    /// [`GroupBuilder::detect_deadlock`](crate::GroupBuilder::detect_deadlock), or with a [schedule](crate::schedule).
    Deadlocked(Deadlock),
    /// The group had a [schedule](crate::schedule), which could not be kept, or was to end here.
    ScheduleFailed(ScheduleError),
}

impl Outcome {
    /// The wasm backtrace of a trap, unless the engine takes none
    /// (`Config::wasm_backtrace_max_frames`).
    pub fn backtrace(&self) -> Option<&WasmBacktrace> {
        match self {
            Outcome::Trapped { error, .. } => error.downcast_ref(),
            _ => None,
        }
    }

    /// The outcome of a thread whose call failed with `error`.
    pub(crate) fn of_error(
        thread: ThreadId,
        error: wasmtime::Error,
        exit_code: fn(&wasmtime::Error) -> Option<i32>,
    ) -> Self {
        if let Some(code) = exit_code(&error) {
            return Outcome::Exited(code);
        }
        Outcome::Trapped {
            thread,
            trap: error.downcast_ref::<Trap>().copied(),
            error: Arc::new(error),
        }
    }

    /// The outcome of a thread on which host code panicked with `payload`.
    pub(crate) fn of_panic(thread: ThreadId, payload: Box<dyn Any + Send>) -> Self {
        let message = if let Some(text) = payload.downcast_ref::<&'static str>() {
            (*text).to_owned()
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.clone()
        } else {
            "a panic whose payload is not text".to_owned()
        };
        discard(payload);
        Outcome::Panicked { thread, message }
    }
}
