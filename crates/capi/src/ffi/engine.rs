//! Engines.

use std::ffi::c_char;
use std::ptr;

use wasi_threads::Termination;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use super::{delete, guard, owned};

/// What compiles modules and runs them. One is enough for a process; a group whose end interrupts threads interrupts those
/// of other groups of its engine, too, for a moment.
#[derive(Debug)]
pub struct WtEngine {
    pub(super) engine: Engine,
    pub(super) termination: Termination,
}

/// Compiles code that cannot be interrupted: it computes faster, by a few to nearly 200 percent, and a thread that computes
/// for ever is never ended, but left behind by `wt_group_run` once the grace is over. For `wt_engine_new`.
pub const WT_ENGINE_UNINTERRUPTED: u32 = 1;

/// Makes an engine. `flags` is 0 or `WT_ENGINE_UNINTERRUPTED`. Needs no file and no network; starts no thread.
///
/// Fails when the machine's processor is not supported, or a flag is unknown.
///
/// # Safety
///
/// `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_engine_new(flags: u32, error: *mut *mut c_char) -> *mut WtEngine {
    guard(error, ptr::null_mut(), || Ok(owned(make(flags)?)))
}

fn make(flags: u32) -> Result<WtEngine, String> {
    if flags & !WT_ENGINE_UNINTERRUPTED != 0 {
        return Err(format!("unknown flags of an engine: {flags:#x}"));
    }
    let termination = match flags & WT_ENGINE_UNINTERRUPTED {
        0 => Termination::Epochs,
        _ => Termination::AtHostCalls,
    };
    let mut config = Config::new();
    config
        .shared_memory(true)
        .epoch_interruption(termination == Termination::Epochs)
        // Wasmtime reads a module's debug information without bounds.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    Ok(WtEngine {
        engine,
        termination,
    })
}

/// Deletes an engine. Modules and groups of it go on.
///
/// # Safety
///
/// `engine` is NULL or came out of `wt_engine_new`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_engine_delete(engine: *mut WtEngine) {
    // SAFETY: the caller's promise.
    unsafe { delete(engine) }
}
