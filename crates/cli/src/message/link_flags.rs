//! Linker flags that a module lacks: `--export-memory`, `--shared-memory` and the like.
//!
//! `run` stops at the first; `inspect` lists all.

use wasi_threads::{GroupError, ModuleShape};
use wasm_symbols::{NAME_CHARS, escape};

/// The remedy for a module that exports no memory, if WASI or the group of threads needs one.
const EXPORT_MEMORY: &str = "link it with `--export-memory`";

/// Why threads of a module with this shape cannot run, and what to do about it; `None` if the error
/// does not concern the shape.
pub(crate) fn of_shape(error: &GroupError) -> Option<(String, &'static str)> {
    let (why, help) = match error {
        GroupError::NoMemory => (
            "it starts threads, but has no memory that they could share",
            "link it with `--import-memory --export-memory --shared-memory --max-memory=BYTES`",
        ),
        GroupError::MemoryNotImported => (
            "it starts threads, but defines its memory itself, so that each thread would get its own",
            "link it with `--import-memory --shared-memory --max-memory=BYTES`",
        ),
        GroupError::MemoryNotExported => (
            "it starts threads, but exports no memory named `memory`, where WASI looks for it",
            EXPORT_MEMORY,
        ),
        GroupError::MemoryExportedIsOwn => (
            "it starts threads, but exports a memory of its own, so that each thread would get its own",
            "link it with `--import-memory --export-memory --shared-memory --max-memory=BYTES`",
        ),
        GroupError::MemoryNotShared { module, name } => {
            let (module, name) = (escape(module, NAME_CHARS), escape(name, NAME_CHARS));
            return Some((
                format!("it starts threads, but its memory `{module}.{name}` is not shared"),
                "link it with `--shared-memory --max-memory=BYTES`",
            ));
        }
        GroupError::SpawnType { found } => {
            return Some((
                format!(
                    "it imports `wasi.thread-spawn` as {found}, not as a function from i32 to i32"
                ),
                "build it with a current toolchain",
            ));
        }
        _ => return None,
    };
    Some((why.to_owned(), help))
}

/// Why a module with this shape cannot call `called`, a function of WASI that it imports, and what
/// to do about it. `None` if it can, if it calls no WASI, or if it starts threads, since the
/// refusals of its shape then say it.
pub(crate) fn of_wasi(shape: &ModuleShape, called: Option<&str>) -> Option<(String, &'static str)> {
    let called = called.filter(|_| shape.exported_memory.is_none() && !shape.spawns())?;
    let why = format!(
        "it calls `{called}`, which works on an exported memory named `memory`, and has none"
    );
    Some((why, EXPORT_MEMORY))
}
