//! Precompiled modules: whose they are, and loading them.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};

use wasi_threads::{Stamp, StampError, ThreadModule};
use wasm_symbols::Symbols;
use wasmtime::Engine;

use crate::sys::native_code::NativeCode;

/// Code that was compiled before, not yet loaded.
#[derive(Debug)]
pub(crate) struct Precompiled {
    code: NativeCode,
    /// What the preparation of the module found out; `None` for a file of `wasmtime compile`, whose threads end by
    /// slower means.
    stamp: Option<Stamp>,
}

impl Precompiled {
    /// A file of `compile`; `None` if it is none.
    pub(crate) fn of_ours(mut file: &File) -> Result<Option<Self>, StampError> {
        Ok(match stamp(Stamp::read(&mut file))? {
            None => None,
            stamp => Some(Precompiled {
                code: NativeCode::File(file.try_clone()?),
                stamp,
            }),
        })
    }

    /// A file of `wasmtime compile`.
    pub(crate) fn foreign(file: File) -> Self {
        Precompiled {
            code: NativeCode::File(file),
            stamp: None,
        }
    }

    /// Bytes of either.
    pub(crate) fn bytes(bytes: Vec<u8>) -> Result<Self, StampError> {
        let stamp = stamp(Stamp::read(&mut Cursor::new(&bytes)))?;
        let code = NativeCode::Bytes(bytes);
        Ok(Precompiled { code, stamp })
    }

    /// Whether it is one of `wasmtime compile`.
    pub(crate) fn is_foreign(&self) -> bool {
        self.stamp.is_none()
    }

    /// The debug information that `compile` attached; `None` if there is none. Of a file it is read when it is wanted.
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
    /// Wasmtime checks that its own version and the engine's settings are those the
    /// code was compiled with; it cannot check the code.
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
