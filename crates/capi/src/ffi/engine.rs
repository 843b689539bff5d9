//! Engines.

use std::ffi::c_char;
use std::ptr;

use wasi_threads::Termination;
use wasmtime::{Config, Engine, WasmBacktraceDetails};

use super::{delete, guard, owned};

/// Compiles modules and runs them. One engine is enough for a process. When a group ends, threads
/// of other groups of the engine are interrupted too, for a moment.
#[derive(Debug)]
pub struct WtEngine {
    pub(super) engine: Engine,
    pub(super) termination: Termination,
}

/// A flag of `wt_engine_new`: compiles code that cannot be interrupted. It computes faster, by a
/// few to nearly 200 percent. A thread that computes for ever is never ended: `wt_group_run` leaves
/// it behind once the grace period is over.
pub const WT_ENGINE_UNINTERRUPTED: u32 = 1;

/// Makes an engine. `flags` is 0 or `WT_ENGINE_UNINTERRUPTED`. Uses no file and no network, and
/// starts no thread.
///
/// Fails if the machine's processor is not supported, or a flag is unknown.
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

/// Deletes an engine. Its modules and groups go on.
///
/// # Safety
///
/// `engine` is NULL or came out of `wt_engine_new`, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_engine_delete(engine: *mut WtEngine) {
    // SAFETY: the caller's promise.
    unsafe { delete(engine) }
}
