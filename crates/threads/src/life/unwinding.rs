//! The errors by which threads of an ended group are unwound.

use std::sync::{Mutex, OnceLock, PoisonError};

use wasmtime::{Engine, Error, Store, WasmBacktrace};

use crate::types::error::GroupEnded;

/// Makes the errors by which the threads of one ended group are unwound.
///
/// Wasmtime takes a backtrace for every error that unwinds wasm, unless it has one: names are
/// copied, and with debug information, lines looked up. For a thousand threads that all end that
/// would take a thousand times some milliseconds, for nothing. So the error gets an empty one, of a
/// store that runs nothing.
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
