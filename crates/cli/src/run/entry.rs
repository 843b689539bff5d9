//! Which function of a module to run.

use wasi_threads::{ThreadModule, abi};
use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::{ExternType, Val};

use crate::args::invoke;
use crate::message::{Message, Result, say};
use crate::run::plan::{EntryFunction, Plan};

/// What to run of a module.
pub(crate) enum Runs {
    /// A command: this export.
    Command(String),
    /// A module without a program: it is only instantiated, which runs its start function if it has
    /// one.
    Start,
    /// A library (a WASI reactor), or a function with parameters or results: `_initialize` if there
    /// is one, then this call.
    Call(ExportCall),
}

/// A call of an export.
pub(crate) struct ExportCall {
    pub(crate) export: String,
    pub(crate) params: Vec<Val>,
}

/// How many arguments a note names.
const MOST_SHOWN: usize = 3;
const ARG_CHARS: usize = 100;

/// Prints which arguments are left over after the parameters of `--invoke`, if the program cannot
/// read them either.
fn say_surplus(function: &str, surplus: &[String], module: &ThreadModule, plan: &Plan) {
    let mut imports = module.module().imports();
    let reads = imports.any(|import| import.name() == "args_get") || !plan.preloads.is_empty();
    if !surplus.is_empty() && !reads {
        let shown = surplus.iter().take(MOST_SHOWN);
        let shown = shown.map(|arg| format!("`{}`", escape(arg, ARG_CHARS)));
        let more = surplus.len().saturating_sub(MOST_SHOWN);
        let more = (more > 0).then(|| format!("{more} more"));
        let surplus: Vec<_> = shown.chain(more).collect();
        say(format_args!(
            "note: `{function}` has no parameters for {}, and the program reads no arguments: they are left over",
            surplus.join(", ")
        ));
    }
}

/// Finds what is to be run, as `wasmtime run` does.
pub(crate) fn runs(module: &ThreadModule, name: &str, plan: &Plan) -> Result<Runs> {
    let function = |export: &str| match module.module().get_export(export) {
        Some(ExternType::Func(ty)) if module.is_guest_export(export) => Some(ty),
        _ => None,
    };
    let has = |export: &str| function(export).is_some();
    let library = has(abi::INITIALIZE);
    let wanted = match &plan.entry {
        EntryFunction::Named(wanted) => wanted.as_str(),
        EntryFunction::Default if has("") => "",
        EntryFunction::Default if library && !has(abi::START) => abi::INITIALIZE,
        EntryFunction::Default => abi::START,
    };
    if let Some(ty) = function(wanted) {
        let export = wanted.to_owned();
        // The first one is the program's own name.
        let args = &plan.argv[1..];
        if let EntryFunction::Named(_) = plan.entry {
            say_surplus(
                wanted,
                &args[ty.params().len().min(args.len())..],
                module,
                plan,
            );
        }
        if !library && ty.params().len() == 0 && ty.results().len() == 0 {
            return Ok(Runs::Command(export));
        }
        let params = invoke::params(wanted, &ty, args)?;
        return Ok(Runs::Call(ExportCall { export, params }));
    }
    let functions: Vec<String> = module
        .module()
        .exports()
        .filter(|export| export.ty().func().is_some() && module.is_guest_export(export.name()))
        .map(|export| escape(export.name(), NAME_CHARS).to_string())
        .take(8)
        .collect();
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
    if let EntryFunction::Named(_) = plan.entry {
        return Err(
            Message::failure(format!("{name} has no function `{wanted}` to run"))
                .why(why)
                .help(help),
        );
    }
    // It cannot be known for a module that was not prepared.
    if module.is_prepared() && module.start_export().is_none() {
        say(format_args!(
            "note: {name} has no function `{wanted}`, so there is nothing to run: {why}; {help}"
        ));
    }
    Ok(Runs::Start)
}
