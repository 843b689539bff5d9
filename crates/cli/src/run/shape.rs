//! What can be seen wrong with a module before it is linked.
//!
//! The thread group refuses modules of the wrong shape itself; this is about
//! what only a whole program needs.

use p1_adapter::{PREVIEW1_MODULE, UNSTABLE_MODULE};
use wasi_threads::abi;
use wasmtime::{ExternType, ImportType, Module};

use crate::message::link_flags;
use crate::message::{Message, Result};
use crate::run::plan::Plan;

/// Whether an import is the function that starts a thread.
pub(crate) fn is_spawn(import: &ImportType<'_>) -> bool {
    (import.module(), import.name()) == (abi::SPAWN_MODULE, abi::SPAWN_NAME)
}

/// Refuses a module that could not run as a program, or not with these options.
pub(crate) fn check(module: &Module, name: &str, plan: &Plan) -> Result<()> {
    let cannot = || Message::failure(format!("{name} cannot be run"));
    let imports_spawn = module.imports().any(|import| is_spawn(&import));
    if imports_spawn && !plan.thread_spawn {
        return Err(cannot()
            .why("it starts threads, and `-S threads=n` forbids that")
            .help("leave out `-S threads=n`"));
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
        .find(|import| [PREVIEW1_MODULE, UNSTABLE_MODULE].contains(&import.module()));
    let memory = module.get_export(abi::MEMORY);
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
            .help(link_flags::EXPORT_MEMORY));
    }
    Ok(())
}
