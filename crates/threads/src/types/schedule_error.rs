//! Why a group has no schedule, and why a scheduled run did not go on.

use crate::types::thread_id::ThreadId;

/// Why a run under a schedule was ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Something happened that depends on the host, so the same decisions may lead to another run.
    #[error("the run is not reproducible: {0}")]
    NotReproducible(String),
    /// More points were passed than
    /// [`Scheduled::max_points`](crate::schedule::Scheduled::max_points).
    #[error("the threads passed {0} points and did not end")]
    TooManyPoints(u64),
    /// The policy named a thread that can neither run nor is asleep. That is a bug of the policy.
    #[error("the policy named thread {0}, which can neither run nor is asleep")]
    NotRunnable(ThreadId),
    /// The policy panicked when a thread began or ended.
    #[error("the policy panicked")]
    PolicyPanicked,
    /// [`ScheduleHandle::stop`](crate::schedule::ScheduleHandle::stop) was called, for this reason.
    #[error("{0}")]
    Stopped(String),
}

/// Why a group cannot have a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleRefusal {
    /// The module was not prepared with
    /// [`RewriteOptions::points`](crate::rewrite::RewriteOptions::points).
    #[error("the module was not prepared with points (`RewriteOptions::points`)")]
    NoPoints,
    /// Accesses are to be told
    /// ([`Scheduled::observe_accesses`](crate::schedule::Scheduled::observe_accesses)), and the
    /// module was not prepared with
    /// [`RewriteOptions::recorded`](crate::rewrite::RewriteOptions::recorded).
    #[error("the module was not prepared to tell of accesses (`RewriteOptions::recorded`)")]
    NotRecorded,
    /// Its waits are Wasmtime's own, which the schedule does not see.
    #[error("the module's waits do not go to the group (`RewriteOptions::waits`)")]
    Waits,
    /// Modules are preloaded, and each would count points of its own.
    #[error("modules are preloaded")]
    Preloads,
    /// Fuel is limited, and threads take it in portions.
    #[error("fuel is limited")]
    Fuel,
    /// Host functions are async, so the host decides when they wake a thread.
    #[error("host functions are async")]
    Async,
}
