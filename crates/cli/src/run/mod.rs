//! Puts the layers together and runs the program.
//!
//! The context of WASI preview1 (`p1-adapter`) and the group of threads
//! (`wasi-threads`) do not know each other. They meet here: every thread's store
//! holds its own state on the one context, and the end of the group raises the
//! signal that ends the context's blocked calls.

pub(crate) mod context;
pub(crate) mod environment;
pub(crate) mod limits;
pub(crate) mod link;
pub(crate) mod listen;
pub(crate) mod modules;
pub(crate) mod plan;
pub(crate) mod refused;
pub(crate) mod shape;
pub(crate) mod signals;

use std::sync::Arc;
use std::time::Instant;

use p1_adapter::{EndSignal, P1State};
use wasi_threads::{Termination, ThreadGroup};
use wasmtime_wasi::I32Exit;

use crate::args::invoke;
use crate::message;
use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::report::calls::Calls;
use crate::report::coredump::CoreDump;
use crate::report::outcome::{self, Reporter};
use crate::report::recorder::Recorder;
use crate::report::stats::{GroupTotals, Stats, Threads};
use crate::report::trace::TraceFile;
use crate::run::context::context;
use crate::run::link::linker;
use crate::run::modules::Modules;
use crate::run::plan::Plan;
use crate::run::shape::Runs;

/// What is to be done.
pub(crate) fn run(mut plan: Plan) -> Result<Exit> {
    let began = Instant::now();
    let inherited = std::mem::take(&mut plan.listenfd);
    let plan = plan;
    let name = plan.module.display();
    let listeners = listen::bind(&plan.tcplisten)?;
    let modules = Modules::of(&plan)?;
    let (engine, module, preloads) = modules.prepare(&plan)?;
    shape::check(module.module(), &name, &plan)?;
    let runs = shape::runs(&module, &name, &plan)?;

    let end = EndSignal::new().map_err(|error| {
        Message::failure("the program cannot be prepared to be ended").why(error)
    })?;
    let traced = plan.trace.is_some();
    let recorder = (traced || plan.stats.is_some()).then(|| Arc::new(Recorder::new(traced)));
    let ctx = context(&plan, &end, (inherited, listeners), recorder.as_ref())?;
    let linker = linker(&engine, &module, &preloads, &ctx, &plan)?;
    let threads = Arc::new(Threads::default());
    let calls = Arc::new(Calls::default());
    let dump = plan
        .coredump
        .clone()
        .map(|path| Arc::new(CoreDump::new(path, plan.module.typed_as())));
    let several = !preloads.is_empty();
    let mut group = ThreadGroup::builder(&engine, &module, linker)
        .limits(plan.limits.of_the_group())
        .termination(if plan.epochs {
            Termination::Epochs
        } else {
            Termination::AtHostCalls
        })
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
        .on_end(move || end.raise())
        // WASI works on the memory exported as `memory`, which need not be the
        // one the threads share: the state finds it at the first call; or at every
        // call, where libraries have memories of their own.
        .state(move |_| match several {
            true => P1State::with_lookup(ctx.clone()),
            false => P1State::new(ctx.clone()),
        })
        .detect_deadlock(plan.detect_deadlock)
        // A thread may sit in a system call that nothing interrupts, such as reading
        // from a dead network file system.
        .grace(plan.shutdown_grace)
        .around_thread({
            let (threads, calls) = (Arc::clone(&threads), Arc::clone(&calls));
            move |thread, life| {
                threads.enter();
                calls.enter(thread);
                life();
                calls.leave(thread);
                threads.leave();
            }
        });
    for (import, library) in &preloads {
        group = group.preload(import, library);
    }
    if let Some(recorder) = &recorder {
        group = group.observer(Arc::clone(recorder) as _);
    }
    if let Some(dump) = &dump {
        let dump = Arc::clone(dump);
        group = group.on_trap(move |thread, error, store| dump.take(thread, error, store));
    }
    let group = group
        .build()
        .map_err(|error| refused::group(&error, &name))?;

    let received = signals::watch(group.handle(), Arc::clone(&calls))?;
    // Not earlier: what cannot be run leaves the trace of another run alone.
    let trace = plan.trace.clone().map(TraceFile::create).transpose()?;
    let prepared_in = began.elapsed();
    let run_began = Instant::now();
    // The return of the function ends the program, threads that it started included.
    let (outcome, results) = match &runs {
        Runs::Start => group.start().map(|outcome| (outcome, Vec::new())),
        Runs::Command(export) => group.run(export).map(|outcome| (outcome, Vec::new())),
        Runs::Call(call) => group.invoke(&call.export, &call.params),
    }
    .map_err(|error| refused::run(&error, &name))?;
    let stats = Stats {
        prepared_in,
        ran_for: run_began.elapsed(),
        threads,
    };
    outcome::left_behind(&group.left_behind(), &calls);
    let totals = GroupTotals::of(&group);
    let reporter = Reporter {
        name: name.clone(),
        timeout: plan.limits.timeout,
        signal: received.get(),
    };
    let mut exit = reporter.outcome(&outcome, group.backtrace_of(&outcome));
    // The status is the program's, whatever fails from here on.
    if let Some(dump) = &dump {
        dump.write(group.memory());
    }
    totals.explain_spawns();
    if let Err(message) = message::print(&invoke::results(&results)) {
        message::say(&message);
        // But what it was called for is its results.
        exit = message.exit();
    }
    if let Some(recorder) = &recorder {
        if let Some(trace) = trace {
            trace.write(recorder, &plan.argv[0]);
        }
        if let Some(format) = plan.stats {
            stats.report(&totals, &recorder.totals(), format);
        }
    }
    Ok(exit)
}
