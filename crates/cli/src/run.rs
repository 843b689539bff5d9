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
use wasmtime::{Cache, Config, Engine, WasmBacktraceDetails};
use wasmtime_wasi::I32Exit;

use crate::cache::prepare_cached;
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
use crate::{invoke, listen, message, signals};

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

    let end = EndSignal::new();
    let traced = plan.trace.is_some();
    let watch = (traced || plan.stats.is_some()).then(|| Arc::new(Watch::new(traced)));
    let ctx = context(&plan, &end, (inherited, listeners), watch.as_ref())?;
    let linker = linker(&engine, &module, &preloads, &ctx, &plan)?;
    let threads = Arc::new(Threads::default());
    let calls = Arc::new(Calls::default());
    let dump = plan
        .coredump
        .clone()
        .map(|path| Arc::new(CoreDump::new(path, plan.module.typed_as())));
    let several = !preloads.is_empty();
    let mut group = ThreadGroup::builder(&engine, &module, linker)
        .limits(limits(&plan))
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

    let reporter = Reporter {
        name: name.clone(),
        timeout: plan.limits.timeout,
        signal: signals::watch(group.handle(), Arc::clone(&calls))?,
    };
    // Not earlier: what cannot be run leaves the trace of another run alone.
    let trace = plan.trace.clone().map(Trace::create).transpose()?;
    let prepared_in = began.elapsed();
    let run_began = Instant::now();
    // The return of the function ends the program, threads that it started included.
    let (outcome, results) = match &runs {
        Runs::Start => group.start().map(|outcome| (outcome, Vec::new())),
        Runs::Command(export) => group.run(export).map(|outcome| (outcome, Vec::new())),
        Runs::Call(call) => group.invoke(&call.export, &call.params),
    }
    .map_err(|error| report::run(&error, &name))?;
    let stats = Stats {
        prepared_in,
        ran_for: run_began.elapsed(),
        threads,
    };
    report::left_behind(&group.left_behind(), &calls);
    let totals = Totals::of(&group);
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
    if let Some(watch) = &watch {
        if let Some(trace) = trace {
            trace.write(watch, &plan.argv[0]);
        }
        if let Some(format) = plan.stats {
            stats.report(&totals, &watch.totals(), format);
        }
    }
    Ok(exit)
}

/// The modules of a run, as they were found.
struct Modules {
    main: Loaded,
    /// In the order of the plan.
    preloads: Vec<Loaded>,
}

/// The engine, the program, and the libraries beneath it under their names.
type Prepared<'a> = (Engine, ThreadModule, Vec<(&'a str, ThreadModule)>);

impl Modules {
    fn of(plan: &Plan) -> Result<Self> {
        let preloads = plan.preloads.iter().map(|(_, source)| source.load());
        Ok(Modules {
            main: plan.module.load()?,
            preloads: preloads.collect::<Result<_>>()?,
        })
    }

    /// Makes them ready for threads, on an engine that fits.
    fn prepare<'a>(&self, plan: &'a Plan) -> Result<Prepared<'a>> {
        let message = match self.prepare_on(plan, &plan.engine) {
            Err(message) => message,
            prepared => return prepared,
        };
        let foreign =
            |module: &Loaded| matches!(module, Loaded::Precompiled(code) if code.is_foreign());
        let any_foreign = self.preloads.iter().chain([&self.main]).any(foreign);
        if !any_foreign
            || !message
                .to_string()
                .contains("WebAssembly backtrace support")
        {
            return Err(message);
        }
        // `wasmtime compile` keeps no files and lines unless it is asked to, and engine and code must agree.
        let mut config = plan.engine.clone();
        config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
        self.prepare_on(plan, &config)
    }

    fn prepare_on<'a>(&self, plan: &'a Plan, config: &Config) -> Result<Prepared<'a>> {
        let engine = Engine::new(config).map_err(|error| {
            Message::usage("the options cannot be used").why(first_line(&error))
        })?;
        let module = prepare(&engine, plan, &self.main, &plan.module.display())?;
        let mut preloads = Vec::new();
        for ((import, source), loaded) in plan.preloads.iter().zip(&self.preloads) {
            let library = prepare(&engine, plan, loaded, &source.display())?;
            preloads.push((import.as_str(), library));
        }
        Ok((engine, module, preloads))
    }
}

fn prepare(engine: &Engine, plan: &Plan, loaded: &Loaded, name: &str) -> Result<ThreadModule> {
    match loaded {
        Loaded::Wasm(bytes) => {
            let cache = plan.cache.as_ref();
            prepare_wasm(engine, cache, bytes, name, plan.threads_proposal)
        }
        Loaded::Precompiled(_) if !plan.allow_precompiled => {
            Err(Message::failure(format!("{name} is precompiled"))
                .why("it would be run as native code, unchecked")
                .help("run it with `--allow-precompiled` if you trust it, or run the .wasm file"))
        }
        Loaded::Precompiled(code) => code.load(engine).map_err(|error| {
            let why = first_line(&error);
            let help = match code.is_foreign() && plan.epochs && why.contains("epoch") {
                true => {
                    "`wasmtime compile` needs `-W epoch-interruption` for it; without, run it with \
                         `-W epoch-interruption=n`"
                }
                false => {
                    "compile it again, by the same version of Wasmtime and with the same options"
                }
            };
            Message::failure(format!("{name} cannot be loaded"))
                .why(why)
                .help(help)
        }),
    }
}

/// Rewrites and compiles a module, if the cache does not have it. `threads`: whether the options allow shared memories
/// and atomics.
pub(crate) fn prepare_wasm(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    name: &str,
    threads: bool,
) -> Result<ThreadModule> {
    let _progress = Progress::compiling(name, bytes.len());
    prepare_cached(engine, cache, bytes).map_err(|error| report::prepare(&error, name, threads))
}

fn limits(plan: &Plan) -> Limits {
    /// Applies a limit if it was given.
    fn given<V>(limits: Limits, value: Option<V>, set: impl FnOnce(Limits, V) -> Limits) -> Limits {
        match value {
            Some(value) => set(limits, value),
            None => limits,
        }
    }
    let wanted = &plan.limits;
    let limits = given(Limits::new(), wanted.threads, Limits::threads);
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
    given(limits, wanted.fuel, Limits::fuel)
}
