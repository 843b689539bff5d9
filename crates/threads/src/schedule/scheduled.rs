//! The settings of a schedule.

use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::schedule::access::AccessObserver;
use crate::schedule::handle::ScheduleHandle;
use crate::schedule::policy::Policy;
use crate::schedule::turns::Turns;

/// Whether the threads of a group run all at once, or one at a time.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// All at once, in the order of the host's scheduler.
    #[default]
    Parallel,
    /// One at a time, as a policy decides.
    Policy(Scheduled),
}

/// A policy and its clock.
pub struct Scheduled {
    policy: Box<dyn Policy>,
    settings: Settings,
    accesses: Option<Arc<dyn AccessObserver>>,
    turns: Arc<OnceLock<Arc<Turns>>>,
}

/// What a schedule counts with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) start: u64,
    pub(crate) point_time: u64,
    pub(crate) host_call_time: u64,
    pub(crate) max_points: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start: 0,
            point_time: 20,
            host_call_time: 100,
            max_points: u64::MAX,
        }
    }
}

impl Scheduled {
    /// A schedule by `policy`. The clock begins at 0, and moves by 20 ns at a point and by 100 ns
    /// at a host call. The number of points has no bound.
    pub fn new(policy: impl Policy + 'static) -> Self {
        Self::boxed(Box::new(policy))
    }

    /// [`new`](Self::new) with a boxed policy.
    pub fn boxed(policy: Box<dyn Policy>) -> Self {
        Self {
            policy,
            settings: Settings::default(),
            accesses: None,
            turns: Arc::default(),
        }
    }

    /// The virtual time at the start, in nanoseconds. If the clock is the guest's wall clock, it
    /// counts from 1970.
    pub fn start_time(mut self, nanoseconds: u64) -> Self {
        self.settings.start = nanoseconds;
        self
    }

    /// By how many nanoseconds a point moves the clock.
    pub fn point_time(mut self, nanoseconds: u64) -> Self {
        self.settings.point_time = nanoseconds;
        self
    }

    /// By how many nanoseconds a host call moves the clock.
    pub fn host_call_time(mut self, nanoseconds: u64) -> Self {
        self.settings.host_call_time = nanoseconds;
        self
    }

    /// Ends the run as
    /// [`ScheduleError::TooManyPoints`](crate::schedule::ScheduleError::TooManyPoints) once its
    /// threads have passed more points than this together: for programs that never end.
    pub fn max_points(mut self, points: u64) -> Self {
        self.settings.max_points = points;
        self
    }

    /// Tells `observer` of each access of shared memory, before it is done. The module must be
    /// prepared with [`RewriteOptions::recorded`](crate::rewrite::RewriteOptions::recorded), which
    /// chooses the accesses. Each costs a call of the host.
    pub fn observe_accesses(mut self, observer: Arc<dyn AccessObserver>) -> Self {
        self.accesses = Some(observer);
        self
    }

    pub(crate) fn observes_accesses(&self) -> bool {
        self.accesses.is_some()
    }

    /// The handle for host functions, which are made before the group. Until the group is built the
    /// handle does nothing.
    pub fn handle(&self) -> ScheduleHandle {
        ScheduleHandle::new(Arc::clone(&self.turns))
    }

    /// What takes the turns of the group that is being made.
    pub(crate) fn build(self) -> Arc<Turns> {
        let turns = Arc::new(Turns::new(self.policy, self.settings, self.accesses));
        // A schedule makes one group.
        let _ = self.turns.set(Arc::clone(&turns));
        turns
    }
}

impl fmt::Debug for Scheduled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduled")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
