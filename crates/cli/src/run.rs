//! Puts the layers together and runs the program.
//!
//! The context of WASI preview1 (`p1-adapter`) and the group of threads
//! (`wasi-threads`) do not know each other. They meet here: every thread's store
//! holds its own state on the one context, and the end of the group raises the
//! signal that ends the context's blocked calls.

use std::sync::Arc;
use std::time::Instant;

use p1_adapter::{
    EndSignal, P1Ctx, P1CtxBuilder, P1State, add_to_linker_sync, add_unstable_to_linker_sync,
};
use wasi_threads::{CallError, Limits, Outcome, Termination, ThreadGroup, ThreadModule};
use wasmtime::{Engine, Linker, Store, Val};
use wasmtime_wasi::{FsPerms, I32Exit};

use crate::config::{Plan, UnknownImports, first_line};
use crate::exit::Exit;
use crate::load::{Loaded, Source};
use crate::message::{Message, Result};
use crate::progress::Progress;
use crate::report::{self, Reporter};
use crate::shape::{self, Runs};
use crate::stats::{Stats, Threads, Totals};
use crate::{precompiled, signals, system};

/// What is to be done.
pub(crate) fn run(plan: Plan) -> Result<Exit> {
    let began = Instant::now();
    let name = plan.module.display();
    let loaded = plan.module.load()?;
    let engine = Engine::new(&plan.engine)
        .map_err(|error| Message::usage("the options cannot be used").why(first_line(&error)))?;
    let module = prepare(&engine, &plan, loaded, &name)?;
    shape::check(module.module(), &name, plan.thread_spawn)?;
    let runs = shape::runs(module.module(), &name, &plan.entry)?;

    let end = EndSignal::new().map_err(|error| {
        Message::failure("the program cannot be prepared to be ended").why(error)
    })?;
    let ctx = context(&plan, &end)?;
    let linker = linker(&engine, &module, &ctx, &plan)?;
    let threads = Arc::new(Threads::default());
    let group = ThreadGroup::builder(&engine, &module, linker)
        .limits(limits(&plan, &module))
        .termination(if plan.epochs {
            Termination::Epochs
        } else {
            Termination::AtHostCalls
        })
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
        .on_end(move || end.raise())
        // WASI works on the memory exported as `memory`, which need not be the
        // one the threads share: the state finds it at the first call.
        .state(move |_| P1State::new(ctx.clone()))
        .detect_deadlock(plan.detect_deadlock)
        // A thread may sit in a system call that nothing interrupts, such as reading
        // from a dead network file system.
        .grace(plan.shutdown_grace)
        .around_thread({
            let threads = Arc::clone(&threads);
            move |_, life| {
                threads.enter();
                life();
                threads.leave();
            }
        })
        .build()
        .map_err(|error| report::group(&error, &name))?;

    let reporter = Reporter {
        name: name.clone(),
        timeout: plan.limits.timeout,
        signal: signals::watch(group.handle())?,
    };
    let stats = Stats {
        prepared_in: began.elapsed(),
        run_began: Instant::now(),
        threads,
    };
    let (outcome, totals) = match runs {
        Runs::Command(export) => command(&group, &export, &name)?,
        Runs::Library(export) => library(group, export.as_deref(), &name)?,
    };
    let exit = reporter.outcome(&outcome);
    if let Some(format) = plan.stats {
        stats.report(&totals, format);
    }
    Ok(exit)
}

/// Runs `export` as the program's first thread; its return ends the program.
fn command(group: &ThreadGroup<P1State>, export: &str, name: &str) -> Result<(Outcome, Totals)> {
    let outcome = group
        .run(export)
        .map_err(|error| report::run(&error, name))?;
    report::left_behind(&group.left_behind());
    Ok((outcome, Totals::of(group)))
}

/// Initialises a library, and calls `export` of it.
fn library(
    group: ThreadGroup<P1State>,
    export: Option<&str>,
    name: &str,
) -> Result<(Outcome, Totals)> {
    let reactor = match group.into_reactor() {
        Ok(reactor) => reactor,
        // It ended in its `_initialize`, and took its figures with it.
        Err(CallError::Ended(outcome)) => return Ok((outcome, Totals::default())),
        Err(error) => return Err(report::call(&error, name)),
    };
    let called = match export {
        Some(export) => reactor.call::<(), ()>(export, ()),
        None => Ok(()),
    };
    let outcome = match called {
        Ok(()) => Outcome::Returned,
        Err(CallError::Ended(outcome)) => outcome,
        Err(error) => return Err(report::call(&error, name)),
    };
    let totals = Totals::of(reactor.group());
    // Threads that it has started do not outlive the call, as those of a command do
    // not outlive `_start`.
    reactor.finish();
    Ok((outcome, totals))
}

fn prepare(engine: &Engine, plan: &Plan, loaded: Loaded, name: &str) -> Result<ThreadModule> {
    match loaded {
        Loaded::Wasm(bytes) => prepare_wasm(engine, &bytes, name),
        Loaded::Precompiled(_) if !plan.allow_precompiled => {
            Err(Message::failure(format!("{name} is precompiled"))
                .why("it would be run as native code, unchecked")
                .help("run it with `--allow-precompiled` if you trust it, or run the .wasm file"))
        }
        Loaded::Precompiled(bytes) => precompiled::load(engine, &bytes).map_err(|error| {
            Message::failure(format!("{name} cannot be loaded"))
                .why(first_line(&error))
                .help("compile it again, by the same version of Wasmtime and with the same options")
        }),
    }
}

/// Rewrites and compiles a module.
pub(crate) fn prepare_wasm(engine: &Engine, bytes: &[u8], name: &str) -> Result<ThreadModule> {
    let _progress = Progress::compiling(name, bytes.len());
    wasi_threads::prepare(engine, bytes).map_err(|error| report::prepare(&error, name))
}

/// Arguments, environment, folders and standard streams.
fn context(plan: &Plan, end: &EndSignal) -> Result<P1Ctx> {
    let mut builder = P1CtxBuilder::new();
    builder
        .args(&plan.argv)
        .envs(&plan.env)
        .end_signal(end.clone());
    // A module that came in on stdin has used it up.
    if plan.stdio.stdin && plan.module != Source::Stdin {
        builder.inherit_stdin();
    }
    if plan.stdio.stdout {
        builder.inherit_stdout();
    }
    if plan.stdio.stderr {
        builder.inherit_stderr();
    }
    if let Some(max) = plan.limits.descriptors {
        builder.max_descriptors(max.try_into().unwrap_or(u32::MAX));
    }
    for dir in &plan.dirs {
        let perms = if dir.read_only {
            FsPerms::ReadOnly
        } else {
            FsPerms::ReadWrite
        };
        builder
            .preopened_dir(&dir.host, &dir.guest, perms)
            .map_err(|error| {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                Message::failure(format!("the folder `{}` cannot be opened", dir.host))
                    .why(cause.unwrap_or_else(|| error.to_string()))
                    .help("check `--dir`: HOST comes first, HOST::GUEST")
            })?;
    }
    builder
        .build()
        .map_err(|error| Message::failure("the program's surroundings cannot be made").why(error))
}

/// Everything the module may import, apart from what the group itself provides.
fn linker(
    engine: &Engine,
    module: &ThreadModule,
    ctx: &P1Ctx,
    plan: &Plan,
) -> Result<Linker<P1State>> {
    let mut linker = Linker::new(engine);
    let module = module.module();
    let linked = add_to_linker_sync(&mut linker, |state| state)
        .and_then(|()| {
            if plan.preview0 {
                add_unstable_to_linker_sync(&mut linker, |state| state)?;
            }
            Ok(())
        })
        .and_then(|()| match plan.unknown_imports {
            UnknownImports::Refuse => Ok(()),
            UnknownImports::Trap => linker.define_unknown_imports_as_traps(module),
            UnknownImports::Default => define_unknown_as_defaults(&mut linker, module, ctx),
        });
    match linked {
        Ok(()) => Ok(linker),
        Err(error) => {
            Err(Message::failure("the imports cannot be defined").why(first_line(&error)))
        }
    }
}

/// Functions that return zeros (or null), for every function import that the
/// linker lacks. Wasmtime's own helper would make memories and tables that belong
/// to one store, and there is one store per thread.
fn define_unknown_as_defaults(
    linker: &mut Linker<P1State>,
    module: &wasmtime::Module,
    ctx: &P1Ctx,
) -> wasmtime::Result<()> {
    let mut scratch = Store::new(linker.engine(), P1State::new(ctx.clone()));
    for import in module.imports() {
        let Some(ty) = import.ty().func().cloned() else {
            continue;
        };
        if linker.get_by_import(&mut scratch, &import).is_some() {
            continue;
        }
        let defaults: Option<Vec<Val>> = ty.results().map(|ty| Val::default_for_ty(&ty)).collect();
        let defaults = defaults.ok_or_else(|| {
            wasmtime::format_err!(
                "`{}::{}` returns a reference that has no default",
                import.module(),
                import.name()
            )
        })?;
        linker.func_new(import.module(), import.name(), ty, move |_, _, results| {
            results.clone_from_slice(&defaults);
            Ok(())
        })?;
    }
    Ok(())
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
