//! Runs whose threads take turns.
//!
//! `replay-threads` decides whose turn it is, `wasi-threads` gives it, and `p1-adapter` asks for time and order: none of them knows
//! another. They meet here.

mod bridge;
mod command;
mod digests;
#[cfg(unix)]
mod explore;
mod options;
mod random;
mod session;
mod world;

#[cfg(not(unix))]
use crate::message::Message;
use crate::message::Result;
use crate::message::exit::Exit;
use crate::run::plan::Plan;

pub(crate) use options::{Runs, ScheduleOptions};
pub(crate) use session::{Session, after, before};

/// Whether the runs are made in processes of their own.
pub(crate) fn is_in_processes(plan: &Plan) -> bool {
    let many = |options: &ScheduleOptions| matches!(options.runs, Runs::Explore(_));
    let options = plan.schedule.as_ref();
    options.is_some_and(|options| many(options) || options.verify || options.job.is_some())
}

/// Makes runs in processes of their own, or is one of these processes.
///
/// # Errors
///
/// Runs that cannot be made.
#[cfg(unix)]
pub(crate) fn in_processes(plan: &Plan) -> Result<Exit> {
    let Some(options) = &plan.schedule else {
        return Ok(Exit::Success);
    };
    match (options.job, &options.runs) {
        (Some(number), _) => explore::serve(plan, options, number),
        (None, Runs::Explore(option)) => explore::explore(plan, options, *option),
        (None, _) => explore::verify(plan, options),
    }
}

/// Jobs are asked through sockets of Unix.
#[cfg(not(unix))]
pub(crate) fn in_processes(_: &Plan) -> Result<Exit> {
    let what = "`--explore` and `--verify` are not there on this platform";
    Err(Message::failure(what))
}
