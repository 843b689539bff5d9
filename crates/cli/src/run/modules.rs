//! The modules of a run, made ready for threads on one engine.

use wasi_threads::ThreadModule;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use crate::message::error_text::first_line;
use crate::message::{Message, Result};
use crate::module::prepare::prepare_wasm;
use crate::module::source::Loaded;
use crate::run::plan::Plan;

/// The modules of a run, as they were found.
pub(crate) struct Modules {
    main: Loaded,
    /// In the order of the plan.
    preloads: Vec<Loaded>,
}

/// The engine, the program, and the libraries beneath it under their names.
pub(crate) struct PreparedModules<'a> {
    pub(crate) engine: Engine,
    pub(crate) main: ThreadModule,
    pub(crate) preloads: Vec<(&'a str, ThreadModule)>,
}

impl Modules {
    pub(crate) fn of(plan: &Plan) -> Result<Self> {
        let preloads = plan.preloads.iter().map(|(_, source)| source.load());
        Ok(Modules {
            main: plan.module.load()?,
            preloads: preloads.collect::<Result<_>>()?,
        })
    }

    /// Makes them ready for threads, on an engine that fits.
    pub(crate) fn prepare<'a>(&self, plan: &'a Plan) -> Result<PreparedModules<'a>> {
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

    fn prepare_on<'a>(&self, plan: &'a Plan, config: &Config) -> Result<PreparedModules<'a>> {
        let engine = Engine::new(config).map_err(|error| {
            Message::usage("the options cannot be used").why(first_line(&error))
        })?;
        let main = prepare(&engine, plan, &self.main, &plan.module.display())?;
        let mut preloads = Vec::new();
        for ((import, source), loaded) in plan.preloads.iter().zip(&self.preloads) {
            let library = prepare(&engine, plan, loaded, &source.display())?;
            preloads.push((import.as_str(), library));
        }
        Ok(PreparedModules {
            engine,
            main,
            preloads,
        })
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
