//! Runs in which data races are looked for.
//!
//! The module tells of its accesses, the adapter of those that it makes for the program, the policy
//! of threads that begin and end. `wasm-races` finds the pairs. A second run with the same policy
//! and seed is the same run, and finds out where each race's other thread was. Threads that run at
//! once have no second run; there the group tells which thread begins and ends.

mod after;
mod again;
mod parallel;
mod places;
mod watch;

use std::sync::Arc;

use wasi_threads::ThreadModule;

use crate::message::{Message, Result};
use crate::run::plan::Plan;
use crate::run::schedule_options::RacesPlan;

pub(crate) use after::{RacedRun, after};
pub(crate) use parallel::{observe_calls, observe_threads};
pub(crate) use watch::{RaceWatch, WatchedPolicy};

/// Keeps a process that makes the second run from writing what the first one writes.
pub(crate) fn leave_outputs(plan: &mut Plan) {
    let Some(options) = &mut plan.schedule else {
        return;
    };
    if options.races.as_ref().is_some_and(RacesPlan::is_again) {
        options.save = None;
        (plan.trace, plan.coredump) = (None, None);
        (plan.profile, plan.profile_output) = (None, None);
    }
}

/// How races are looked for, if they are.
pub(crate) fn options(plan: &Plan) -> Option<&RacesPlan> {
    let schedule = plan.schedule.as_ref();
    let scheduled = schedule.and_then(|options| options.races.as_ref());
    scheduled.or(plan.races_in_parallel.as_ref())
}

/// What watches a run, if races are looked for.
///
/// # Errors
///
/// A program that has more instructions than are told apart.
pub(crate) fn watch(plan: &Plan, module: &ThreadModule) -> Result<Option<Arc<RaceWatch>>> {
    let Some(races) = options(plan) else {
        return Ok(None);
    };
    let watch = match races.is_again() {
        true => again::asked(module),
        false => RaceWatch::detecting(module, races.memory, plan.races_in_parallel.is_some()),
    };
    let too_large = || {
        let what = format!("races of {} cannot be looked for", plan.module.display());
        Message::failure(what).why("too many of its instructions access memory")
    };
    Ok(Some(Arc::new(watch.ok_or_else(too_large)?)))
}
