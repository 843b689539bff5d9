//! Native code that was compiled before, made a module.
#![allow(unsafe_code)]

use std::fs::File;

use wasmtime::{Engine, Module};

/// Native code, from wherever it is.
#[derive(Debug)]
pub(crate) enum NativeCode {
    /// To be mapped.
    File(File),
    /// From a pipe.
    Bytes(Vec<u8>),
}

impl NativeCode {
    /// Makes it a module, for `--allow-precompiled`.
    pub(crate) fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Module> {
        // Both ask that the bytes come from `Module::serialize` or `Engine::precompile_module`,
        // unmodified, because they are run as native code. That cannot be checked here; the user,
        // who could run any native code as well, has vouched for it with `--allow-precompiled`, the
        // only way to this function. What `compile` adds is outside of what they read: behind the
        // sections that the ELF header names, and in the header's unused bytes (the stamp of
        // wasi-threads).
        match self {
            NativeCode::File(file) => {
                let file = file.try_clone()?;
                // SAFETY: as above. That a mapped file stays as it is, is vouched for in the same
                // way; `compile` replaces files and does not write into them.
                unsafe { Module::deserialize_open_file(engine, file) }
            }
            // SAFETY: as above.
            NativeCode::Bytes(bytes) => unsafe { Module::deserialize(engine, bytes) },
        }
    }
}

/// Makes a module of what the cache had.
pub(crate) fn deserialize_cached(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the bytes must come from `Module::serialize`, unmodified, because they are run as
    // native code.
    // - They were read from Wasmtime's cache folder, in a file whose name is the SHA-256 of the
    //   module and of all that decides what becomes of it. Such files are written by `cache.rs`,
    //   which writes what `ThreadModule::serialize` gave and nothing else.
    // - They have the checksum and the length that were written: no file that was cut short or
    //   damaged gets here.
    // - A process that writes something else there, checksum and all, must be able to write the
    //   folder, and Wasmtime runs what it finds in that folder in the same way (`compile_cached` in
    //   its `src/compile/runtime.rs`), without a checksum. So a process that is not to run native
    //   code as this user must not be able to write the folder, as before.
    // - The mark of wasi-threads in them is in unused bytes of the ELF header (see
    //   `NativeCode::deserialize`).
    unsafe { Module::deserialize(engine, bytes) }
}
