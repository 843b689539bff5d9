//! Native code that was compiled before, made a module.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

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
        // Both need bytes that come unmodified from `Module::serialize` or
        // `Engine::precompile_module`, because they run as native code. That cannot be checked
        // here. The user has vouched for it with `--allow-precompiled`, the only way to this
        // function, and could run any native code anyway. What `compile` adds is outside of what
        // they read: behind the sections that the ELF header names, and in the header's unused
        // bytes (the stamp of wasi-threads).
        match self {
            NativeCode::File(file) => {
                let mapped = file.try_clone()?;
                // SAFETY: as above. The user vouches in the same way that a mapped file does not
                // change. `compile` replaces files and does not write into them.
                let module = unsafe { Module::deserialize_open_file(engine, mapped) };
                module.or_else(|_| {
                    // Code cannot be mapped from it: on Windows from no file that was opened to be
                    // read, elsewhere where nothing may be executed from its file system. If there
                    // is another reason, it is the copy's, too.
                    let bytes = whole(file)?;
                    // SAFETY: as above.
                    unsafe { Module::deserialize(engine, bytes) }
                })
            }
            // SAFETY: as above.
            NativeCode::Bytes(bytes) => unsafe { Module::deserialize(engine, bytes) },
        }
    }
}

/// All that is in `file`.
fn whole(mut file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a module of what the cache had.
pub(crate) fn deserialize_cached(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the bytes must come from `Module::serialize`, unmodified, because they are run as
    // native code.
    // - They were read from Wasmtime's cache folder, in a file whose name is a digest of the module
    //   and of all that determines how it is compiled. `cache.rs` writes such files, and
    //   writes only what `ThreadModule::serialize` returned.
    // - They have the checksum and the length that were written: no file that was cut short or
    //   damaged gets here.
    // - A process that puts something else there, with a right checksum, must be able to write the
    //   folder. Wasmtime runs what it finds in that folder in the same way, without a checksum
    //   (`compile_cached` in its `src/compile/runtime.rs`). So this adds no new requirement: a
    //   process that must not run native code as this user must not be able to write the folder.
    // - The mark of wasi-threads in them is in unused bytes of the ELF header (see
    //   `NativeCode::deserialize`).
    unsafe { Module::deserialize(engine, bytes) }
}
