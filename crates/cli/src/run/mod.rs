//! Puts the layers together and runs the program.
//!
//! The context of WASI preview1 (`p1-adapter`) and the group of threads (`wasi-threads`) do not
//! know each other. They meet here. Every thread's store holds its own state on the one context.
//! The end of the group raises the signal that ends the context's blocked calls.

#[cfg(any(test, fuzzing))]
pub(crate) mod any_line;
mod budget;
mod cannot_run;
mod context;
mod dump_option;
mod ended;
mod entry;
mod environment;
mod explore;
mod group;
mod limits;
mod link;
mod listen;
mod modules;
mod observers;
mod on_signal;
pub(crate) mod plan;
mod races;
mod schedule;
mod schedule_options;
mod shape;
mod time_limit;

use std::io;
use std::time::Instant;

use p1_adapter::EndSignal;
use wasi_threads::rewrite::Recorded;
use wasi_threads::schedule::Schedule;

use crate::args::run_args::RunArgs;
use crate::message::exit::Exit;
use crate::message::wording::limit_of_the_system;
use crate::message::{self, Message, Result, say};
use crate::module::toolchain::Fault;
use crate::report::stats::Stats;
use crate::run::budget::Budget;
use crate::run::context::context;
use crate::run::ended::Ended;
use crate::run::entry::Runs;
use crate::run::link::linker;
use crate::run::modules::Modules;
use crate::run::observers::Observers;
use crate::run::on_signal::Received;
use crate::run::plan::Plan;
use crate::run::schedule::accesses::Accesses;
use crate::run::schedule::folders;
use crate::run::schedule::session::{self, Session};
use crate::run::time_limit::TimeLimit;
use crate::sys::process;
use crate::sys::signals::{Held, SignalThread};

/// Runs the program that the command line asks for.
pub(crate) fn run(typed: RunArgs) -> Result<Exit> {
    // The plan changes the environment, so no other thread may run yet. Its compile cache then
    // starts a thread, which must not take signals.
    let held = Held::new();
    let mut plan = Plan::from_args(typed)?;
    races::leave_outputs(&mut plan);
    if explore::is_in_processes(&plan) {
        // The processes it starts end with this one, whatever ends it.
        drop(held);
        return explore::in_processes(&plan);
    }
    run_plan(plan, on_signal::thread(held))
}

fn run_plan(mut plan: Plan, signals: io::Result<SignalThread>) -> Result<Exit> {
    let began = Instant::now();
    let inherited = std::mem::take(&mut plan.listenfd);
    let (trace, dump) = (plan.trace.take(), plan.coredump.take());
    let profile = plan.profile_output.take();
    let plan = plan;
    let name = plan.module.display();
    let mut time_limit = TimeLimit::start(began, plan.limits.timeout, &name);
    let listeners = listen::bind(&plan.tcplisten)?;
    let modules = Modules::of(&plan)?;
    let fault = modules.fault();
    let header = match &plan.schedule {
        Some(options) => session::before(&plan, options, modules.main())?,
        None => None,
    };
    let recorded = match &plan.schedule {
        Some(options) if options.races.is_some() => Some(Recorded::Races),
        Some(options) if options.show.is_some() => Some(Accesses::told_at(options.points)),
        None if plan.races_in_parallel.is_some() => Some(Recorded::Races),
        _ => None,
    };
    let modules = modules.prepare(&plan, recorded)?;
    shape::check(modules.main.module(), &name, &plan)?;
    let runs = entry::runs(&modules.main, &name, &plan)?;

    let end = EndSignal::new();
    let observers = Observers::of(&plan, trace.is_some(), dump);
    let recorder = observers.recorder.as_ref();
    let budget = plan.limits.total_memory.map(Budget::of);
    let sockets = (inherited, listeners);
    let races = races::watch(&plan, &modules.main)?;
    let options = plan.schedule.as_ref();
    let mut whose_turn = options.map(|options| Session::of(options, races.clone()));
    let temporary = folders::give_copies(&plan, whose_turn.as_mut())?;
    let at_once = races.as_ref().filter(|_| whose_turn.is_none());
    let watched = (recorder, budget.as_ref(), whose_turn.as_ref(), at_once);
    let ctx = context(&plan, &end, sockets, watched)?;
    let linker = linker(&modules, &ctx, &plan)?;
    let limits = plan.limits.of_the_group(time_limit.left());
    let mut group = group::builder(&plan, &modules, linker, ctx, end).limits(limits);
    if let Some(budget) = budget {
        group = group.memory_budget(budget);
    }
    if let Some(scheduled) = whose_turn.as_mut().and_then(Session::take) {
        group = group.schedule(Schedule::Policy(scheduled));
    }
    if let Some(races) = at_once {
        group = races::observe_threads(group, races);
    }
    let group = observers.watch(group);
    let group = group
        .build()
        .map_err(|error| cannot_run::group(&error, &name))?;

    let signals = signals
        .and_then(|signals| on_signal::watch(signals, group.handle(), modules.backtraces.clone()));
    let received = match signals {
        Ok(received) => received,
        // A limit that the user can raise is an error with help.
        Err(error) if limit_of_the_system(&error.to_string()).is_some() => {
            return Err(Message::failure("signals cannot be received").why(error));
        }
        Err(error) => {
            message::warn("signals are left to the system", &error);
            Received::default()
        }
    };
    // Not earlier: a program that cannot run must not overwrite the trace of another run.
    let (trace, profile) = observers.prepare((trace, profile), &plan, &received)?;
    let prepared_in = began.elapsed();
    let run_began = Instant::now();
    // The return of the function ends the program, also the threads that it started.
    let ran = match &runs {
        Runs::Start => group.start().map(|outcome| (outcome, Vec::new())),
        Runs::Command(export) => group.run(export).map(|outcome| (outcome, Vec::new())),
        Runs::Call(call) => group.invoke(&call.export, &call.params),
    };
    let (outcome, results) = match ran {
        Ok(ran) => ran,
        Err(error) => {
            let message = cannot_run::run(&error, &name);
            say(&message);
            // A start function may have started threads.
            if let Some(profile) = profile {
                profile.write(&group.handle(), &modules.backtraces, &plan.argv[0]);
            }
            if let (Some(trace), Some(recorder)) = (trace, recorder) {
                trace.write(recorder, &plan.argv[0]);
            }
            drop(temporary);
            return Ok(leave(&plan, message.exit()));
        }
    };
    let stats = Stats {
        prepared_in,
        ran_for: run_began.elapsed(),
    };
    let ended = Ended {
        plan: &plan,
        group: &group,
        observers: &observers,
        backtraces: &modules.backtraces,
        module: &modules.main,
        outcome,
        results,
        signal: received.when_ended(),
        stats,
        session: whose_turn.as_ref(),
        races: races.as_deref(),
        header,
    };
    let exit = ended.report(trace, profile);
    // The process may end without running destructors.
    drop(temporary);
    // For the other bug, the program's end does not show whether it was the cause.
    if let Some(fault @ Fault::NoSpawn) = fault
        && exit.status() != Exit::Success.status()
    {
        say(format_args!("note: {name}: {}", fault.describe()));
    }
    Ok(leave(&plan, exit))
}

/// Ends the process if threads have been stopped for ever, because they still use what a return
/// would free.
fn leave(plan: &Plan, exit: Exit) -> Exit {
    if group::stops_where_they_are(plan) {
        process::exit_now(exit.status());
    }
    exit
}
