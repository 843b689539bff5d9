//! How a group ended.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::{Trap, WasmBacktrace};

use crate::host::panics::discard;
use crate::types::error::{NoExitStatus, in_words};
use crate::types::report::Deadlock;
use crate::types::schedule_error::ScheduleError;
use crate::types::thread_id::ThreadId;

/// How a group ended: the first cause, whatever happened after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// The export that was run returned.
    Returned,
    /// A thread ended the group with an exit code (`proc_exit`), recognised by the function given
    /// to [`GroupBuilder::exit_code`](crate::GroupBuilder::exit_code). All 32 bits are kept.
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
    /// Every thread waited, without a timeout, on memory that no thread was left to write. Only
    /// with [`GroupBuilder::detect_deadlock`](crate::GroupBuilder::detect_deadlock), or with a
    /// [schedule](crate::schedule).
    Deadlocked(Deadlock),
    /// The group had a [schedule](crate::schedule) that could not be kept, or that ended the run.
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

    /// The exit status of the program: 0 if it returned, its code if it exited.
    ///
    /// All 32 bits of the code are kept. An operating system may pass on fewer (on Unix,
    /// `std::process::exit` passes on the lower 8).
    ///
    /// # Errors
    ///
    /// [`NoExitStatus`], which holds the outcome, for every other end.
    pub fn into_exit_status(self) -> Result<i32, NoExitStatus> {
        match self {
            Outcome::Returned => Ok(0),
            Outcome::Exited(code) => Ok(code),
            other => Err(NoExitStatus(other)),
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
        let message = panic_words(payload);
        Outcome::Panicked { thread, message }
    }
}

/// What a panic said. Its payload is dropped here.
pub(crate) fn panic_words(payload: Box<dyn Any + Send>) -> String {
    let words = if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic whose payload is not text".to_owned()
    };
    discard(payload);
    words
}

/// A text for people, without backtraces of traps. Names from the module are escaped, and cut. A
/// deadlock has a line for each of its threads.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Returned => f.write_str("the program returned"),
            Outcome::Exited(code) => write!(f, "the program exited with status {code}"),
            Outcome::Trapped {
                thread,
                trap: Some(_),
                error,
            } => write!(f, "thread {thread} trapped: {}", in_words(error)),
            Outcome::Trapped { thread, error, .. } => {
                write!(
                    f,
                    "a host function failed in thread {thread}: {}",
                    in_words(error)
                )
            }
            Outcome::Panicked { thread, message } => write!(
                f,
                "a host function panicked in thread {thread}: {}",
                escape(message, 4 * NAME_CHARS)
            ),
            Outcome::TimedOut => f.write_str("the time limit passed"),
            Outcome::Cancelled => f.write_str("the group was cancelled"),
            Outcome::Deadlocked(deadlock) => deadlock.fmt(f),
            Outcome::ScheduleFailed(error) => {
                write!(f, "{}", escape(&error.to_string(), 4 * NAME_CHARS))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::Error;

    #[test]
    fn what_people_are_told() {
        let of = |error| Outcome::of_error(ThreadId::MAIN, error, |_| None);
        let panicked = Outcome::of_panic(ThreadId::of_lot(3), Box::new("a\x1bb"));
        for (outcome, text) in [
            (Outcome::Returned, "the program returned"),
            (Outcome::Exited(-1), "the program exited with status -1"),
            (
                of(Trap::UnreachableCodeReached.into()),
                "thread main trapped: wasm trap: wasm `unreachable` instruction executed",
            ),
            (
                of(Error::msg("inner").context("outer")),
                "a host function failed in thread main: outer: inner",
            ),
            (panicked, r"a host function panicked in thread 3: a\u{1b}b"),
            (Outcome::TimedOut, "the time limit passed"),
            (Outcome::Cancelled, "the group was cancelled"),
            (
                Outcome::ScheduleFailed(ScheduleError::NotReproducible("a\x1bb".into())),
                r"the run is not reproducible: a\u{1b}b",
            ),
        ] {
            assert_eq!(outcome.to_string(), text);
        }
    }

    #[test]
    fn only_a_program_that_ends_by_itself_has_a_status() {
        let status = |outcome: Outcome| outcome.into_exit_status();
        assert_eq!(status(Outcome::Returned).unwrap(), 0);
        assert_eq!(status(Outcome::Exited(i32::MIN)).unwrap(), i32::MIN);
        let error = status(Outcome::TimedOut).unwrap_err();
        assert!(matches!(error.0, Outcome::TimedOut));
        assert_eq!(
            error.to_string(),
            "the program did not end by itself: the time limit passed"
        );
    }
}
