//! What can be seen wrong with a module before it is linked.
//!
//! The thread group refuses modules of the wrong shape itself; this is about
//! what only a whole program needs.

use wasi_threads::ThreadModule;
use wasmtime::{ExternType, Module, Val};

use crate::args::invoke;
use crate::message::{Message, Result, say};
use crate::run::plan::{Entry, Plan};

/// Preview1, and its name before it was called that.
const PREVIEW1: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Refuses a module that could not run as a program, or not with these options.
pub(crate) fn check(module: &Module, name: &str, plan: &Plan) -> Result<()> {
    let cannot = || Message::failure(format!("{name} cannot be run"));
    let imports_spawn = module
        .imports()
        .any(|import| import.module() == "wasi" && import.name() == "thread-spawn");
    if imports_spawn && !plan.thread_spawn {
        return Err(cannot()
            .why("it starts threads, and `-S threads=n` forbids that")
            .help("leave out `-S threads=n`"));
    }
    // Imported ones are not among the required resources.
    if imports_spawn
        && module.resources_required().num_memories == 0
        && !module
            .imports()
            .any(|import| import.ty().memory().is_some())
    {
        return Err(cannot()
            .why("it starts threads, but has no memory that they could share")
            .help(
                "link it with `--import-memory --export-memory --shared-memory --max-memory=BYTES`",
            ));
    }
    if plan.limits.trap_on_grow_failure
        && module
            .imports()
            .any(|import| matches!(import.ty(), ExternType::Memory(ty) if ty.is_shared()))
    {
        return Err(
            Message::usage("`-W trap-on-grow-failure` cannot work for this module")
                .why("its memory is shared, and Wasmtime asks nobody when a shared memory grows")
                .help("leave the option out"),
        );
    }
    let needs_memory = module
        .imports()
        .find(|import| PREVIEW1.contains(&import.module()));
    let memory = module.get_export("memory");
    if let Some(import) = needs_memory
        && !matches!(memory, Some(ExternType::Memory(_)))
        // The group says the same of a module that spawns, with more detail.
        && !imports_spawn
    {
        return Err(cannot()
            .why(format!(
                "it calls `{}`, which works on an exported memory named `memory`, and has none",
                import.name()
            ))
            .help("link it with `--export-memory`"));
    }
    Ok(())
}

/// What of a module is to be run.
pub(crate) enum Runs {
    /// A command: this export is the program.
    Command(String),
    /// A module that has no program: it is instantiated, which runs its start function if it has one.
    Start,
    /// A library (a WASI reactor), or a function that takes or returns something: `_initialize` if there is one,
    /// then this call.
    Call(Call),
}

/// A call of an export.
pub(crate) struct Call {
    pub(crate) export: String,
    pub(crate) params: Vec<Val>,
}

/// Finds what is to be run, as `wasmtime run` does.
pub(crate) fn runs(module: &ThreadModule, name: &str, plan: &Plan) -> Result<Runs> {
    let function = |export: &str| match module.module().get_export(export) {
        Some(ExternType::Func(ty)) if module.is_guest_export(export) => Some(ty),
        _ => None,
    };
    let has = |export: &str| function(export).is_some();
    let library = has("_initialize");
    let wanted = match &plan.entry {
        Entry::Named(wanted) => wanted.as_str(),
        Entry::Default if has("") => "",
        Entry::Default if library && !has("_start") => "_initialize",
        Entry::Default => "_start",
    };
    if let Some(ty) = function(wanted) {
        let export = wanted.to_owned();
        if !library && ty.params().len() == 0 && ty.results().len() == 0 {
            return Ok(Runs::Command(export));
        }
        // The program's own name comes first.
        let params = invoke::params(wanted, &ty, &plan.argv[1..])?;
        return Ok(Runs::Call(Call { export, params }));
    }
    let mut functions: Vec<&str> = module
        .module()
        .exports()
        .filter(|export| export.ty().func().is_some() && module.is_guest_export(export.name()))
        .map(|export| export.name())
        .collect();
    functions.truncate(8);
    let (why, help) = match functions.is_empty() {
        true => (
            "it exports no function at all".to_owned(),
            "link it as a command (wasi-sdk's and rustc's default), or with `--export`",
        ),
        false => (
            format!("it exports: {}", functions.join(", ")),
            "name one with `--invoke`",
        ),
    };
    if let Entry::Named(_) = plan.entry {
        return Err(
            Message::failure(format!("{name} has no function `{wanted}` to run"))
                .why(why)
                .help(help),
        );
    }
    // Where nobody prepared the module, it cannot be known.
    if module.is_prepared() && module.start_export().is_none() {
        say(format_args!(
            "note: {name} has no function `{wanted}`, so there is nothing to run: {why}; {help}"
        ));
    }
    Ok(Runs::Start)
}
