//! How a group ended, for C.

use std::ffi::CString;

use p1_adapter::P1State;
use wasi_threads::{Outcome, ThreadGroup};

use crate::words::c_text;

/// An outcome, and its texts for C.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) message: CString,
    pub(crate) backtrace: Option<CString>,
    pub(crate) left_behind: usize,
}

impl Ended {
    pub(crate) fn of(group: &ThreadGroup<P1State>, outcome: Outcome) -> Self {
        let backtrace = group.backtrace_of(&outcome);
        Self {
            message: c_text(&outcome.to_string()),
            backtrace: backtrace.map(|trace| c_text(&trace.to_string())),
            left_behind: group.left_behind().len(),
            outcome,
        }
    }

    /// The exit status that a process would have, as a shell shows it.
    pub(crate) fn status(&self) -> i32 {
        match self.outcome {
            Outcome::Returned => 0,
            Outcome::Exited(code) => code,
            // SIGABRT, as for an aborted process.
            _ => 134,
        }
    }

    /// The id of the thread that trapped; 0 is the main thread's.
    pub(crate) fn thread(&self) -> i32 {
        match &self.outcome {
            Outcome::Trapped { thread, .. } | Outcome::Panicked { thread, .. } => {
                i32::try_from(thread.get()).unwrap_or(i32::MAX)
            }
            _ => -1,
        }
    }
}
