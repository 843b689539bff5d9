//! Errors in a module's shape, before it is linked.
//!
//! The thread group itself refuses modules of the wrong shape. This file checks what only a whole
//! program needs.

use p1_adapter::{PREVIEW1_MODULE, UNSTABLE_MODULE};
use wasi_threads::ModuleShape;
use wasmtime::{ExternType, ImportType, Module};

use crate::message::link_flags;
use crate::message::{Message, Result};
use crate::run::plan::Plan;

/// Refuses a module that cannot run as a program, or not with these options.
pub(crate) fn check(module: &Module, name: &str, plan: &Plan) -> Result<()> {
    let cannot = || Message::failure(format!("{name} cannot be run"));
    let shape = ModuleShape::of(module);
    if shape.spawns() && !plan.thread_spawn {
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
                .why(
                    "its memory is shared, and Wasmtime asks no limiter when a shared memory grows",
                )
                .help("leave the option out"),
        );
    }
    let called = module
        .imports()
        .find(|import| [PREVIEW1_MODULE, UNSTABLE_MODULE].contains(&import.module()));
    let called = called.as_ref().map(ImportType::name);
    if let Some((why, help)) = link_flags::of_wasi(&shape, called) {
        return Err(cannot().why(why).help(help));
    }
    Ok(())
}
