//! The errors that unwind threads of an ended group.

use std::sync::{Mutex, OnceLock, PoisonError};

use wasmtime::{Engine, Error, Store, WasmBacktrace};

use crate::types::error::GroupEnded;

/// Makes the errors that unwind the threads of one ended group.
///
/// Wasmtime takes a backtrace for every error that unwinds wasm, unless the error has one. It
/// copies names and, with debug information, looks lines up. For a thousand threads that end, that
/// would take a thousand times some milliseconds, for nothing. So the error gets an empty
/// backtrace, from a store that runs nothing.
pub(crate) struct Unwinding {
    engine: Engine,
    idle: OnceLock<Mutex<Store<()>>>,
}

impl Unwinding {
    pub(crate) fn new(engine: &Engine) -> Self {
        Self {
            engine: engine.clone(),
            idle: OnceLock::new(),
        }
    }

    pub(crate) fn error(&self) -> Error {
        let idle = self
            .idle
            .get_or_init(|| Mutex::new(Store::new(&self.engine, ())));
        let idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        Error::from(GroupEnded).context(WasmBacktrace::force_capture(&*idle))
    }
}
