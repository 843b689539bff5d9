//! Precompiled modules. The only unsafe code of this package.
#![allow(unsafe_code)]

use wasi_threads::{StampError, Stamped, ThreadModule};
use wasmtime::{Engine, Module};

/// Loads code that was compiled before, for `--allow-precompiled`.
///
/// A file of `compile` has a stamp and comes back as it was prepared; one of
/// `wasmtime compile` has none, and its threads end by slower means.
///
/// Wasmtime checks that its own version and the engine's settings are those the
/// code was compiled with; it cannot check the code.
pub(crate) fn load(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<ThreadModule> {
    match Stamped::parse(bytes) {
        Ok(stamped) => {
            let module = deserialize(engine, stamped.compiled())?;
            Ok(stamped.into_module(module)?)
        }
        Err(StampError::Missing) => deserialize(engine, bytes).map(ThreadModule::from_unprepared),
        Err(damaged) => Err(damaged.into()),
    }
}

fn deserialize(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: `Module::deserialize` asks that the bytes come from
    // `Module::serialize` or `Engine::precompile_module`, unmodified, because they
    // are run as native code. That cannot be checked here; the user, who could run
    // any native code as well, has vouched for it with `--allow-precompiled`, the
    // only way to this function. Nothing else is asked for.
    unsafe { Module::deserialize(engine, bytes) }
}
