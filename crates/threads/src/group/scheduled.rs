//! Making a group with a schedule.

use std::sync::Arc;
use std::time::Duration;

use crate::group::builder::{GroupBuilder, GroupSettings};
use crate::group::link::Modules;
use crate::life::Life;
use crate::schedule::{AccessObserver, Schedule, ScheduleRefusal, Turns};
use crate::types::error::GroupError;

impl<T: Send + 'static, D> GroupBuilder<T, D> {
    /// Sets whether the threads run all at once, which is the default, or one at a time, as a
    /// policy decides. [`schedule`](crate::schedule) has what that needs.
    ///
    /// With a policy, no instance is made ahead, a spawn at the limit of threads fails at once, and
    /// deadlocks are found without [`detect_deadlock`](Self::detect_deadlock).
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.settings.schedule = schedule;
        self
    }

    /// Tells `observer` of each access of shared memory, before it is done, by threads that run at
    /// once: for a module that was prepared with
    /// [`RewriteOptions::recorded`](crate::rewrite::RewriteOptions::recorded), which says which
    /// accesses. Each costs a call of the host. In a group with a schedule it is what
    /// [`Scheduled::observe_accesses`](crate::schedule::Scheduled::observe_accesses) is, and the
    /// last one given counts.
    pub fn observe_accesses(mut self, observer: Arc<dyn AccessObserver>) -> Self {
        self.settings.accesses = Some(observer);
        self
    }
}

impl<T: Send + 'static> GroupSettings<T> {
    /// The turns of the group, if it has a schedule. Also changes the settings that a schedule
    /// rules out.
    pub(super) fn turns(&mut self, modules: &Modules) -> Result<Option<Arc<Turns>>, GroupError> {
        let not_recorded = modules.module.recorded().is_none();
        let Schedule::Policy(mut scheduled) = std::mem::take(&mut self.schedule) else {
            return match self.accesses.is_some() && not_recorded {
                true => Err(GroupError::NotRecorded),
                false => Ok(None),
            };
        };
        if let Some(observer) = self.accesses.take() {
            scheduled = scheduled.observe_accesses(observer);
        }
        #[cfg(feature = "async")]
        let is_async = self.async_calls;
        #[cfg(not(feature = "async"))]
        let is_async = false;
        for (refused, why) in [
            (modules.module.points().is_none(), ScheduleRefusal::NoPoints),
            (
                scheduled.observes_accesses() && not_recorded,
                ScheduleRefusal::NotRecorded,
            ),
            (!modules.waits_reach_group, ScheduleRefusal::Waits),
            (!modules.preloads.is_empty(), ScheduleRefusal::Preloads),
            (self.limits.fuel.is_some(), ScheduleRefusal::Fuel),
            (is_async, ScheduleRefusal::Async),
        ] {
            if refused {
                return Err(GroupError::NoSchedule(why));
            }
        }
        // Waiting would be useless: the thread that spawns has the turn, so no other can leave.
        self.limits.spawn_wait = Duration::ZERO;
        // The turns find deadlocks; the lot sees no waits.
        self.detect_deadlock = false;
        Ok(Some(scheduled.build()))
    }
}

/// Makes the group end for what its schedule finds, and the schedule end with the group.
pub(super) fn follow(life: &Arc<Life>, turns: &Arc<Turns>) {
    life.set_turns(turns);
    let life = Arc::downgrade(life);
    turns.on_verdict(move |verdict| {
        if let Some(life) = life.upgrade() {
            life.judged(verdict);
        }
    });
}
