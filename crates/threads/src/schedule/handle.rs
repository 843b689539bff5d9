//! The handle through which host functions keep to a schedule.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::schedule::policy::Why;
use crate::schedule::turns::Turns;
use crate::types::error::GroupEnded;
use crate::types::schedule_error::ScheduleError;

/// How host functions keep to a schedule. Cheap to clone; from
/// [`Scheduled::handle`](crate::schedule::Scheduled::handle).
///
/// Its methods are for host functions that a thread of the group has called, on that thread.
/// Elsewhere, and before the group is built, those that would move the turn do nothing. Each may
/// move the turn: other threads of the guest run before it returns. So a host function calls it
/// before it takes a lock that another thread's host function takes.
#[derive(Clone)]
pub struct ScheduleHandle {
    turns: Arc<OnceLock<Arc<Turns>>>,
}

impl ScheduleHandle {
    pub(super) fn new(turns: Arc<OnceLock<Arc<Turns>>>) -> Self {
        Self { turns }
    }

    fn turns(&self) -> Option<&Arc<Turns>> {
        self.turns.get()
    }

    /// The virtual time, in nanoseconds; 0 before the group is built. Takes one lock, which is not
    /// contended.
    pub fn now(&self) -> u64 {
        self.turns().map_or(0, |turns| turns.now())
    }

    /// Sleeps until the virtual time is `deadline`, in nanoseconds. Always gives the turn on. Takes
    /// no time of the host.
    ///
    /// # Errors
    ///
    /// [`GroupEnded`], which the host function should return: the group has ended.
    pub fn sleep_until(&self, deadline: u64) -> Result<(), GroupEnded> {
        self.turns()
            .map_or(Ok(()), |turns| turns.sleep_until(deadline))
    }

    /// Asks the policy which thread is next, for a thread that would rather let another run.
    ///
    /// # Errors
    ///
    /// As [`sleep_until`](Self::sleep_until).
    pub fn yield_now(&self) -> Result<(), GroupEnded> {
        self.turns()
            .map_or(Ok(()), |turns| turns.changed(Why::Yield, &mut || ()))
    }

    /// Passes the point before a host call. Call it at the beginning of each host function, before
    /// the function does anything.
    ///
    /// # Errors
    ///
    /// As [`sleep_until`](Self::sleep_until).
    pub fn host_call(&self) -> Result<(), GroupEnded> {
        self.turns().map_or(Ok(()), |turns| turns.host_call())
    }

    /// Ends the group as [`ScheduleError::NotReproducible`]: something has happened that need not
    /// happen in the next run. From any thread.
    pub fn not_reproducible(&self, reason: impl Into<String>) {
        self.fail(ScheduleError::NotReproducible(reason.into()));
    }

    /// Ends the group as [`ScheduleError::Stopped`], for a reason of the caller's. From any thread,
    /// and for a policy.
    pub fn stop(&self, reason: impl Into<String>) {
        self.fail(ScheduleError::Stopped(reason.into()));
    }

    fn fail(&self, error: ScheduleError) {
        if let Some(turns) = self.turns() {
            turns.fail(error);
        }
    }
}

impl fmt::Debug for ScheduleHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScheduleHandle").finish_non_exhaustive()
    }
}
