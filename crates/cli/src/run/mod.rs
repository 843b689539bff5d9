//! Puts the layers together and runs the program.
//!
//! The context of WASI preview1 (`p1-adapter`) and the group of threads
//! (`wasi-threads`) do not know each other. They meet here: every thread's store
//! holds its own state on the one context, and the end of the group raises the
//! signal that ends the context's blocked calls.

mod cannot_run;
mod context;
mod ended;
mod entry;
mod environment;
mod group;
mod limits;
mod link;
mod listen;
mod modules;
mod observers;
mod on_signal;
pub(crate) mod plan;
mod shape;

use std::time::Instant;

use p1_adapter::EndSignal;
use wasi_threads::Termination;

use crate::args::run_args::RunArgs;
use crate::message::exit::Exit;
use crate::message::{Result, say};
use crate::module::toolchain::Fault;
use crate::report::stats::Stats;
use crate::run::context::context;
use crate::run::ended::Ended;
use crate::run::entry::Runs;
use crate::run::link::linker;
use crate::run::modules::Modules;
use crate::run::observers::Observers;
use crate::run::plan::Plan;
use crate::sys::process;
use crate::sys::signals::SignalThread;

/// Runs the program that the command line asks for.
pub(crate) fn run(typed: RunArgs) -> Result<Exit> {
    // The compile cache, which the plan has, starts a thread of low priority, and must not take signals there.
    let signals = on_signal::thread()?;
    run_plan(Plan::from_args(typed)?, signals)
}

fn run_plan(mut plan: Plan, signals: SignalThread) -> Result<Exit> {
    let began = Instant::now();
    let inherited = std::mem::take(&mut plan.listenfd);
    let (trace, dump) = (plan.trace.take(), plan.coredump.take());
    let plan = plan;
    let name = plan.module.display();
    let listeners = listen::bind(&plan.tcplisten)?;
    let modules = Modules::of(&plan)?;
    let fault = modules.fault();
    let modules = modules.prepare(&plan)?;
    shape::check(modules.main.module(), &name, &plan)?;
    let runs = entry::runs(&modules.main, &name, &plan)?;

    let end = EndSignal::new();
    let observers = Observers::of(&plan, trace.is_some(), dump);
    let recorder = observers.recorder.as_ref();
    let ctx = context(&plan, &end, (inherited, listeners), recorder)?;
    let linker = linker(&modules, &ctx, &plan)?;
    let group = group::builder(&plan, &modules, linker, ctx, end);
    let group = observers.watch(group);
    let group = group
        .build()
        .map_err(|error| cannot_run::group(&error, &name))?;

    let received = on_signal::watch(signals, group.handle(), modules.backtraces.clone())?;
    // Not earlier: what cannot be run leaves the trace of another run alone.
    let trace = observers.prepare(trace, plan.limits.timeout, &received)?;
    let prepared_in = began.elapsed();
    let run_began = Instant::now();
    // The return of the function ends the program, threads that it started included.
    let (outcome, results) = match &runs {
        Runs::Start => group.start().map(|outcome| (outcome, Vec::new())),
        Runs::Command(export) => group.run(export).map(|outcome| (outcome, Vec::new())),
        Runs::Call(call) => group.invoke(&call.export, &call.params),
    }
    .map_err(|error| cannot_run::run(&error, &name))?;
    let stats = Stats {
        prepared_in,
        ran_for: run_began.elapsed(),
    };
    let ended = Ended {
        plan: &plan,
        group: &group,
        observers: &observers,
        backtraces: &modules.backtraces,
        outcome,
        results,
        signal: received.get(),
        stats,
    };
    let exit = ended.report(trace);
    // The other one cannot be told from a program that ends so because it means to.
    if let Some(fault @ Fault::NoSpawn) = fault
        && exit.status() != Exit::Success.status()
    {
        say(format_args!("note: {name}: {}", fault.describe()));
    }
    if group::termination(&plan) == Termination::ProcessExit {
        // Threads have been stopped for ever, and use what would be given back here.
        process::exit_now(exit.status());
    }
    Ok(exit)
}
