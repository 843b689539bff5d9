//! Many runs, in processes that can be killed.
//!
//! Each job is this binary again, with the same command line. It prepares the module once and runs
//! one seed after the other, each in a group of its own; what a run writes goes into a file. The
//! exploring process hears how each run ended. A thread that computes without passing a point
//! cannot be stopped from within. In that case the job's process is killed.

mod job;
mod protocol;
mod pulse;
mod report;
mod serve;

use crate::message::Result;
use crate::message::exit::Exit;
use crate::run::plan::Plan;
use crate::run::schedule_options::{ScheduleOptions, Wanted};

/// Whether the runs are made in processes of their own.
pub(crate) fn is_in_processes(plan: &Plan) -> bool {
    let many = |options: &ScheduleOptions| matches!(options.wanted, Wanted::Explore(_));
    let options = plan.schedule.as_ref();
    options.is_some_and(|options| many(options) || options.verify || options.job.is_some())
}

/// Makes runs in processes of their own, or acts as one of these processes.
///
/// # Errors
///
/// Runs that cannot be made.
pub(crate) fn in_processes(plan: &Plan) -> Result<Exit> {
    let Some(options) = &plan.schedule else {
        return Ok(Exit::Success);
    };
    match (options.job, &options.wanted) {
        (Some(number), _) => serve::serve(plan, options, number),
        (None, Wanted::Explore(option)) => report::explore(plan, options, *option),
        (None, _) => report::verify(plan, options),
    }
}
