//! What can be seen wrong with a module before it is linked.
//!
//! The thread group refuses modules of the wrong shape itself; this is about
//! what only a whole program needs.

use wasmtime::{ExternType, Module};

use crate::config::Entry;
use crate::message::{Message, Result};

/// Preview1, and its name before it was called that.
const PREVIEW1: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Refuses a module that could not run as a program, or not with these options.
pub(crate) fn check(module: &Module, name: &str, spawns_allowed: bool) -> Result<()> {
    let cannot = || Message::failure(format!("{name} cannot be run"));
    let imports_spawn = module
        .imports()
        .any(|import| import.module() == "wasi" && import.name() == "thread-spawn");
    if imports_spawn && !spawns_allowed {
        return Err(cannot()
            .why("it starts threads, and `-S threads=n` forbids that")
            .help("leave out `-S threads=n`"));
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
    /// A library (a WASI reactor): `_initialize`, then this export, if any.
    Library(Option<String>),
}

/// Finds what is to be run, as `wasmtime run` does.
pub(crate) fn runs(module: &Module, name: &str, entry: &Entry) -> Result<Runs> {
    let has = |export: &str| matches!(module.get_export(export), Some(ExternType::Func(_)));
    let library = has("_initialize");
    let wanted = match entry {
        Entry::Named(wanted) => wanted.as_str(),
        Entry::Default if has("") => "",
        Entry::Default if library && !has("_start") => return Ok(Runs::Library(None)),
        Entry::Default => "_start",
    };
    if has(wanted) {
        return Ok(match library {
            true => Runs::Library(Some(wanted.to_owned())),
            false => Runs::Command(wanted.to_owned()),
        });
    }
    let message = Message::failure(format!("{name} has no function `{wanted}` to run"));
    let mut functions: Vec<&str> = module
        .exports()
        .filter(|export| export.ty().func().is_some())
        .map(|export| export.name())
        .collect();
    functions.truncate(8);
    Err(if functions.is_empty() {
        message
            .why("it exports no function at all")
            .help("link it as a command (wasi-sdk's and rustc's default), or with `--export`")
    } else {
        message
            .why(format!("it exports: {}", functions.join(", ")))
            .help("name one that takes and returns nothing with `--invoke`")
    })
}
