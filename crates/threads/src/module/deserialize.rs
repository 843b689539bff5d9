//! Modules from files and bytes that [`ThreadModule::serialize`] wrote.
// Compiled code is native code, so loading it is unsafe. Here the caller vouches for it.
#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;

use wasmtime::{Engine, Module};

use crate::module::precompiled::{Stamp, StampError, Stamped};
use crate::module::thread_module::ThreadModule;

/// Why a compiled module was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeserializeError {
    /// It is not as [`ThreadModule::serialize`] wrote it.
    #[error(transparent)]
    Stamp(#[from] StampError),
    /// Wasmtime refuses it: an engine with another version or other settings compiled it.
    #[error("the engine refuses the compiled module")]
    Module(#[source] wasmtime::Error),
}

impl ThreadModule {
    /// Makes a module from the result of [`serialize`](Self::serialize). Needs no compiler.
    ///
    /// # Safety
    ///
    /// The bytes are native code, which is run as it is. They must be the unmodified result of
    /// `serialize`, as for `wasmtime::Module::deserialize`. A checksum finds accidental changes,
    /// and no others.
    ///
    /// # Errors
    ///
    /// [`DeserializeError`]; [`StampError::Missing`] for one that was not
    /// [prepared](crate::prepare()): those are for [`from_unprepared`](Self::from_unprepared).
    pub unsafe fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Self, DeserializeError> {
        let stamped = Stamped::parse(bytes)?;
        // SAFETY: the caller says that the bytes are what `serialize` wrote; the compiled part of
        // them is what `Module::serialize` did, but for a mark in unused bytes of its header.
        let module = unsafe { Module::deserialize(engine, stamped.compiled()) };
        Ok(stamped.into_module(module.map_err(DeserializeError::Module)?)?)
    }

    /// [`deserialize`](Self::deserialize) from a file, which is mapped and not copied. Reads it
    /// once, for the checksum. Where code cannot be mapped from it (on Windows, or where nothing
    /// may be executed from its file system) it is copied.
    ///
    /// # Safety
    ///
    /// As for [`deserialize`](Self::deserialize). And the file must not change while the module, or
    /// anything made from it, exists: replace such a file, and do not write into it.
    ///
    /// # Errors
    ///
    /// [`DeserializeError`]; [`StampError::Read`] for a file that cannot be opened.
    pub unsafe fn deserialize_file(
        engine: &Engine,
        path: impl AsRef<Path>,
    ) -> Result<Self, DeserializeError> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(StampError::from)?;
        let stamp = Stamp::read(&mut file)?;
        // SAFETY: as above, and the caller says that the file stays as it is. What is behind the
        // compiled module is outside of the sections that its header names.
        match unsafe { Module::deserialize_open_file(engine, file) } {
            Ok(module) => Ok(stamp.into_module(module)?),
            // If it is not the mapping that is refused, the copy is refused for the same reason.
            Err(_) => {
                let bytes = std::fs::read(path).map_err(StampError::from)?;
                // SAFETY: the caller's promise.
                unsafe { Self::deserialize(engine, &bytes) }
            }
        }
    }
}
