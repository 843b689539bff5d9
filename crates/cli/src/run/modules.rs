//! Preparing the modules of a run on one engine.

use std::sync::Arc;

use wasi_threads::rewrite::{Recorded, RewriteOptions};
use wasi_threads::{Termination, ThreadModule};
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::message::error_text::{because, first_line, unusable_options};
use crate::message::wording::{WasmtimeError, wasmtime_error};
use crate::message::{Message, Result};
use crate::module::prepare::prepare_wasm;
use crate::module::source::Loaded;
use crate::module::toolchain::{Fault, fault};
use crate::report::backtraces::Backtraces;
use crate::run::plan::Plan;

/// The modules of a run, as they were loaded.
pub(crate) struct Modules {
    main: Loaded,
    /// In the order of the plan.
    preloads: Vec<Loaded>,
}

/// The engine, the prepared program, and the libraries beneath it with their names.
pub(crate) struct PreparedModules<'a> {
    pub(crate) engine: Engine,
    pub(crate) main: ThreadModule,
    pub(crate) preloads: Vec<(&'a str, ThreadModule)>,
    /// Whether the engine, and the code, have checks for epochs.
    pub(crate) has_checks: bool,
    /// Makes their backtraces.
    pub(crate) backtraces: Arc<Backtraces>,
}

/// Engine, program and libraries, without backtraces.
type OnEngine<'a> = (Engine, ThreadModule, Vec<(&'a str, ThreadModule)>);

/// Why modules were not prepared.
enum Unprepared {
    /// Compiled code has files and lines for backtraces and the engine wants none, or the other way
    /// round.
    BacktraceDetails(Message),
    /// Compiled code has checks for epochs and the engine wants none, or the other way round.
    Epochs(Message),
    Other(Message),
}

impl From<Message> for Unprepared {
    fn from(message: Message) -> Self {
        Unprepared::Other(message)
    }
}

impl Modules {
    pub(crate) fn of(plan: &Plan) -> Result<Self> {
        let limits = &plan.module_limits;
        let preloads = plan.preloads.iter().map(|(_, source)| source.load(limits));
        Ok(Modules {
            main: plan.module.load(limits)?,
            preloads: preloads.collect::<Result<_>>()?,
        })
    }

    /// The known bug of the compiler that built the program.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match &self.main {
            Loaded::Wasm(wasm) => fault(wasm),
            Loaded::Precompiled(_) => None,
        }
    }

    /// The program itself.
    pub(crate) fn main(&self) -> &Loaded {
        &self.main
    }

    /// Prepares the modules, on an engine that fits. `recorded`: the accesses that the program
    /// tells of.
    pub(crate) fn prepare<'a>(
        self,
        plan: &'a Plan,
        recorded: Option<Recorded>,
    ) -> Result<PreparedModules<'a>> {
        let foreign =
            |module: &Loaded| matches!(module, Loaded::Precompiled(code) if code.is_foreign());
        let mut config = plan.engine.clone();
        let mut details = self.preloads.iter().chain([&self.main]).any(foreign);
        let mut epochs = plan.epochs.is_none();
        let mut has_checks = plan.epochs.unwrap_or(!Termination::CAN_EXIT);
        // Engine and code must agree.
        loop {
            match self.prepare_on(plan, &config, recorded) {
                Ok((engine, main, preloads)) => {
                    let modules = preloads.iter().map(|(_, library)| library).chain([&main]);
                    let symbols = self.preloads.into_iter().chain([self.main]);
                    let symbols = symbols.map(Loaded::symbols);
                    return Ok(PreparedModules {
                        backtraces: Arc::new(Backtraces::new(modules.cloned().zip(symbols))),
                        engine,
                        main,
                        preloads,
                        has_checks,
                    });
                }
                Err(Unprepared::BacktraceDetails(_)) if std::mem::take(&mut details) => {
                    // The code of `wasmtime compile` keeps files and lines, so Wasmtime looks them
                    // up.
                    config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
                }
                Err(Unprepared::Epochs(_)) if std::mem::take(&mut epochs) => {
                    // The opposite of the default. In code that has checks, they find nothing.
                    has_checks = Termination::CAN_EXIT;
                    if !has_checks && plan.limits.timeout.is_some() {
                        return Err(a_timeout_needs_checks());
                    }
                    config.epoch_interruption(has_checks);
                }
                Err(
                    Unprepared::BacktraceDetails(message)
                    | Unprepared::Epochs(message)
                    | Unprepared::Other(message),
                ) => return Err(message),
            }
        }
    }

    fn prepare_on<'a>(
        &self,
        plan: &'a Plan,
        config: &Config,
        recorded: Option<Recorded>,
    ) -> std::result::Result<OnEngine<'a>, Unprepared> {
        let engine = Engine::new(config).map_err(|error| unusable_options(&error))?;
        let name = plan.module.display();
        let main = prepare(&engine, plan, (&self.main, recorded), &name)?;
        let mut preloads = Vec::new();
        for ((import, source), loaded) in plan.preloads.iter().zip(&self.preloads) {
            let library = prepare(&engine, plan, (loaded, None), &source.display())?;
            preloads.push((import.as_str(), library));
        }
        Ok((engine, main, preloads))
    }
}

fn a_timeout_needs_checks() -> Message {
    Message::failure("a timeout needs epoch interruption")
        .why("the compiled code has no checks, and without them a computing thread cannot be stopped")
        .help("compile it with `-W epoch-interruption`, or leave the timeout out")
}

/// How code of Wasmtime's own loads here. This binary lacks the parts that are turned off.
const OF_WASMTIME: &str = concat!(
    "`wasi-threads-run compile` makes a file that loads; `wasmtime compile` ",
    env!("CARGO_PKG_VERSION_MAJOR"),
    " does with `-C collector=drc -W concurrency-support=n`, and the options for code that are given here"
);

/// How such code loads that is to end by epochs.
const OF_WASMTIME_WITH_EPOCHS: &str = concat!(
    "`wasmtime compile` ",
    env!("CARGO_PKG_VERSION_MAJOR"),
    " needs `-C collector=drc -W concurrency-support=n,epoch-interruption` for it; without the last, \
     run it with `-W epoch-interruption=n`"
);

fn prepare(
    engine: &Engine,
    plan: &Plan,
    (loaded, recorded): (&Loaded, Option<Recorded>),
    name: &str,
) -> std::result::Result<ThreadModule, Unprepared> {
    match loaded {
        Loaded::Wasm(bytes) => {
            let cache = plan.cache.as_ref();
            let mut options = RewriteOptions::default();
            options.points = plan.schedule.as_ref().map(|schedule| schedule.points);
            options.recorded = recorded;
            Ok(prepare_wasm(engine, cache, bytes, &options, name)?)
        }
        Loaded::Precompiled(_) if !plan.allow_precompiled => {
            Err(Message::failure(format!("{name} is precompiled"))
                .why("it would be run as native code, unchecked")
                .help("run it with `--allow-precompiled` if you trust it, or run the .wasm file")
                .into())
        }
        Loaded::Precompiled(code) => code.load(engine).map_err(|error| {
            let message =
                Message::failure(format!("{name} cannot be loaded")).why(first_line(&error));
            let again = match code.is_foreign() {
                true => OF_WASMTIME,
                false => {
                    "compile it again, by the same version of Wasmtime and with the same options"
                }
            };
            match wasmtime_error(&error) {
                Some(WasmtimeError::Epochs) => {
                    let asked = code.is_foreign() && plan.epochs == Some(true);
                    Unprepared::Epochs(message.help(match asked {
                        true => OF_WASMTIME_WITH_EPOCHS,
                        false => again,
                    }))
                }
                Some(WasmtimeError::NotExecutable) => because(message, &error).into(),
                Some(WasmtimeError::BacktraceDetails) => {
                    Unprepared::BacktraceDetails(message.help(again))
                }
                _ => message.help(again).into(),
            }
        }),
    }
}
