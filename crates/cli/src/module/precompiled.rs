//! Precompiled modules: which program compiled them, and loading them.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};

use wasi_threads::{Stamp, StampError, ThreadModule};
use wasm_symbols::Symbols;
use wasmtime::Engine;

use crate::sys::native_code::NativeCode;

/// Precompiled code that is not loaded yet.
#[derive(Debug)]
pub(crate) struct Precompiled {
    code: NativeCode,
    /// The results of the preparation; `None` for a file of `wasmtime compile`, whose threads end
    /// more slowly.
    stamp: Option<Stamp>,
}

impl Precompiled {
    /// Precompiled code in a file of `compile`; `None` for any other file.
    pub(crate) fn of_ours(mut file: &File) -> Result<Option<Self>, StampError> {
        Ok(match stamp(Stamp::read(&mut file))? {
            None => None,
            stamp => Some(Precompiled {
                code: NativeCode::File(file.try_clone()?),
                stamp,
            }),
        })
    }

    /// Precompiled code in a file of `wasmtime compile`.
    pub(crate) fn foreign(file: File) -> Self {
        Precompiled {
            code: NativeCode::File(file),
            stamp: None,
        }
    }

    /// Precompiled code in bytes of either program.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Result<Self, StampError> {
        let stamp = stamp(Stamp::read(&mut Cursor::new(&bytes)))?;
        let code = NativeCode::Bytes(bytes);
        Ok(Precompiled { code, stamp })
    }

    /// Whether `wasmtime compile` made it.
    pub(crate) fn is_foreign(&self) -> bool {
        self.stamp.is_none()
    }

    /// The debug information that `compile` attached; `None` if there is none. In a file it is read
    /// only when it is needed.
    pub(crate) fn symbols(self) -> Option<Symbols> {
        let attached = self.stamp.as_ref()?.attached();
        if attached.is_empty() {
            return None;
        }
        match self.code {
            NativeCode::Bytes(bytes) => {
                let range = usize::try_from(attached.start).ok()?..attached.end.try_into().ok()?;
                Some(Symbols::new(bytes.get(range)?.to_vec()))
            }
            NativeCode::File(file) => Some(Symbols::fetched(move || {
                let mut file = &file;
                file.seek(SeekFrom::Start(attached.start)).ok()?;
                let mut bytes = Vec::new();
                let length = attached.end - attached.start;
                file.take(length).read_to_end(&mut bytes).ok()?;
                Some(bytes)
            })),
        }
    }

    /// Loads it, for `--allow-precompiled`.
    ///
    /// Wasmtime checks that its version and the engine's settings are the same as when the code was
    /// compiled. It cannot check the code.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<ThreadModule> {
        let module = self.code.deserialize(engine)?;
        Ok(match &self.stamp {
            Some(stamp) => stamp.clone().into_module(module)?,
            None => ThreadModule::from_unprepared(module),
        })
    }
}

/// The stamp; `None` if there is none.
fn stamp(read: Result<Stamp, StampError>) -> Result<Option<Stamp>, StampError> {
    match read {
        Ok(stamp) => Ok(Some(stamp)),
        Err(StampError::Missing) => Ok(None),
        Err(error) => Err(error),
    }
}
