//! Puts the layers together and runs the program.
//!
//! The context of WASI preview1 (`p1-adapter`) and the group of threads
//! (`wasi-threads`) do not know each other. They meet here: every thread's store
//! holds its own state on the one context, and the end of the group raises the
//! signal that ends the context's blocked calls.

use std::sync::Arc;
use std::time::Instant;

use p1_adapter::{EndSignal, P1State};
use wasi_threads::{Limits, Termination, ThreadGroup, ThreadModule};
use wasmtime::{Config, Engine, WasmBacktraceDetails};
use wasmtime_wasi::I32Exit;

use crate::calls::Calls;
use crate::config::{Plan, first_line};
use crate::context::context;
use crate::coredump::CoreDump;
use crate::exit::Exit;
use crate::link::linker;
use crate::load::Loaded;
use crate::message::{Message, Result};
use crate::progress::Progress;
use crate::report::{self, Reporter};
use crate::shape::{self, Runs};
use crate::stats::{Stats, Threads, Totals};
use crate::trace::Trace;
use crate::watch::Watch;
use crate::{invoke, message, pipe, precompiled, signals, system};

/// What is to be done.
pub(crate) fn run(mut plan: Plan) -> Result<Exit> {
    let began = Instant::now();
    let name = plan.module.display();
    let mut sockets = std::mem::take(&mut plan.sockets);
    sockets.bind(&plan.tcplisten)?;
    let loaded = plan.module.load()?;
    let engine = engine(&mut plan, &loaded)?;
    let module = prepare(&engine, &plan, loaded, &name)?;
    let mut preloads = Vec::new();
    for (import, source) in &plan.preloads {
        let library = prepare(&engine, &plan, source.load()?, &source.display())?;
        preloads.push((import.as_str(), library));
    }
    shape::check(module.module(), &name, &plan)?;
    let runs = shape::runs(module.module(), &name, &plan)?;

    // Before the program runs, so that it is known that it can be written; not sooner, so that an older one stays
    // where nothing runs.
    let trace = plan.trace.clone().map(Trace::create).transpose()?;
    let end = EndSignal::new().map_err(|error| {
        Message::failure("the program cannot be prepared to be ended").why(error)
    })?;
    let watch =
        (trace.is_some() || plan.stats.is_some()).then(|| Arc::new(Watch::new(trace.is_some())));
    let broken_pipe = Arc::new(pipe::Ends::default());
    let ctx = context(&plan, &end, sockets, watch.as_ref(), &broken_pipe)?;
    let linker = linker(&engine, &module, &preloads, &ctx, &plan)?;
    let threads = Arc::new(Threads::default());
    let calls = Arc::new(Calls::default());
    let dump = plan
        .coredump
        .clone()
        .map(|path| Arc::new(CoreDump::new(path, plan.module.path())));
    let several = !preloads.is_empty();
    let mut group = ThreadGroup::builder(&engine, &module, linker)
        .limits(limits(&plan, &module))
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
    if let Some(watch) = &watch {
        group = group.observer(Arc::clone(watch) as _);
    }
    if let Some(dump) = &dump {
        let dump = Arc::clone(dump);
        group = group.on_trap(move |thread, error, store| dump.take(thread, error, store));
    }
    let group = group
        .build()
        .map_err(|error| report::group(&error, &name))?;

    let signal = signals::watch(group.handle(), Arc::clone(&calls))?;
    broken_pipe.group(group.handle(), signal.clone());
    let reporter = Reporter {
        name: name.clone(),
        timeout: plan.limits.timeout,
        signal,
    };
    let stats = Stats {
        prepared_in: began.elapsed(),
        run_began: Instant::now(),
        threads,
    };
    // The return of the function ends the program, threads that it started included.
    let (outcome, results) = match &runs {
        Runs::Command(export) => group.run(export).map(|outcome| (outcome, Vec::new())),
        Runs::Call(call) => group.invoke(&call.export, &call.params),
    }
    .map_err(|error| report::run(&error, &name))?;
    let ran_for = stats.run_began.elapsed();
    report::left_behind(&group.left_behind(), &calls);
    let totals = Totals::of(&group);
    let mut exit = reporter.outcome(&outcome, group.backtrace_of(&outcome));
    // What fails from here on is said, and the rest done all the same: the status is the program's own, unless
    // that would be success.
    let mut late = |done: Result<()>| {
        if let Err(message) = done {
            message::say(&message);
            if exit.status() == 0 {
                exit = message.exit();
            }
        }
    };
    if let Some(dump) = &dump {
        late(dump.write(group.memory()));
    }
    totals.explain_spawns(plan.limits.threads.is_none());
    late(message::print(&invoke::results(&results)));
    if let Some(watch) = &watch {
        if let Some(trace) = trace {
            late(trace.write(watch, &plan.argv[0]));
        }
        if let Some(format) = plan.stats {
            stats.report(ran_for, &totals, &watch.totals(), format);
        }
    }
    Ok(exit)
}

/// The engine that the command line asks for; for code of `wasmtime compile`, the one it was compiled for, as far as
/// the command line leaves that open.
fn engine(plan: &mut Plan, loaded: &Loaded) -> Result<Engine> {
    let new = |config: &Config| {
        Engine::new(config)
            .map_err(|error| Message::usage("the options cannot be used").why(first_line(&error)))
    };
    let engine = new(&plan.engine)?;
    let foreign = match loaded {
        Loaded::Precompiled(code) if plan.allow_precompiled && code.is_foreign() => code,
        _ => return Ok(engine),
    };
    let mut nearest = None;
    let without_epochs = !plan.epochs_asked && plan.limits.timeout.is_none();
    for epochs in [plan.epochs, false] {
        if epochs != plan.epochs && !without_epochs {
            break;
        }
        for details in [None, Some(WasmBacktraceDetails::Disable)] {
            let mut config = plan.engine.clone();
            config.epoch_interruption(epochs);
            if let Some(details) = details {
                config.wasm_backtrace_details(details);
            }
            let other = new(&config)?;
            match precompiled::load(&other, foreign) {
                Ok(_) => {
                    plan.epochs = epochs;
                    return Ok(other);
                }
                // One that differs in nothing that is tried here: it says what is the matter.
                Err(error) if !first_line(&error).contains("backtrace support") => {
                    nearest.get_or_insert(other);
                }
                Err(_) => {}
            }
        }
    }
    Ok(nearest.unwrap_or(engine))
}

fn prepare(engine: &Engine, plan: &Plan, loaded: Loaded, name: &str) -> Result<ThreadModule> {
    match loaded {
        Loaded::Wasm(bytes) => prepare_wasm(engine, &bytes, name, plan.threads_proposal),
        Loaded::Precompiled(_) if !plan.allow_precompiled => {
            Err(Message::failure(format!("{name} is precompiled"))
                .why("it would be run as native code, unchecked")
                .help("run it with `--allow-precompiled` if you trust it, or run the .wasm file"))
        }
        Loaded::Precompiled(code) => precompiled::load(engine, &code).map_err(|error| {
            let why = first_line(&error);
            let help = if plan.limits.timeout.is_some() && why.contains("epoch") {
                "compile it by `wasi-threads-run compile`, or with `-W epoch-interruption`: a timeout needs that"
            } else {
                "compile it again, by the same version of this program or of Wasmtime, with the same options"
            };
            Message::failure(format!("{name} cannot be loaded"))
                .why(why)
                .help(help)
        }),
    }
}

/// Rewrites and compiles a module. `threads`: whether the options allow shared memories and atomics.
pub(crate) fn prepare_wasm(
    engine: &Engine,
    bytes: &[u8],
    name: &str,
    threads: bool,
) -> Result<ThreadModule> {
    let _progress = Progress::compiling(name, bytes.len());
    wasi_threads::prepare(engine, bytes).map_err(|error| report::prepare(&error, name, threads))
}

fn limits(plan: &Plan, module: &ThreadModule) -> Limits {
    /// Applies a limit if it was given.
    fn given<V>(limits: Limits, value: Option<V>, set: impl FnOnce(Limits, V) -> Limits) -> Limits {
        match value {
            Some(value) => set(limits, value),
            None => limits,
        }
    }
    let wanted = &plan.limits;
    let threads = wanted.threads.or_else(system::most_threads);
    let limits = given(Limits::new(), threads, Limits::threads);
    let limits = given(limits, wanted.host_stack, Limits::host_stack);
    // Wasmtime asks no limiter when a shared memory grows, so what it may become is
    // what counts.
    let limits = given(limits, wanted.memory, |limits, bytes| {
        limits.memory(bytes).shared_memory(bytes as u64)
    });
    let limits = given(limits, wanted.memories, Limits::memories);
    let limits = given(limits, wanted.table_elements, Limits::table_elements);
    let limits = given(limits, wanted.tables, Limits::tables);
    let limits = given(limits, wanted.instances, Limits::instances);
    let limits = given(limits, wanted.timeout, Limits::timeout);
    let limits = limits.trap_on_grow_failure(wanted.trap_on_grow_failure);
    given(limits, wanted.fuel, |limits, units| {
        // A thread draws a slice at a time, and must not need more than one between
        // two host calls: without other threads, all of it.
        let slice = if module.imports_thread_spawn() {
            units / 16
        } else {
            units
        };
        limits.fuel(units).fuel_slice(slice)
    })
}
