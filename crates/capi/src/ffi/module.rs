//! Modules.

use std::ffi::c_char;
use std::{ptr, slice};

use wasi_threads::{Termination, ThreadModule, prepare};
use wasmtime::Engine;

use super::engine::WtEngine;
use super::{delete, given, guard, owned, text};
use crate::words::words;

/// A compiled program. It can run any number of times, in any number of groups at once.
#[derive(Debug)]
pub struct WtModule {
    pub(super) module: ThreadModule,
    pub(super) termination: Termination,
}

/// Compiles a program of `length` bytes: a WebAssembly binary, or its text format. Blocks while it
/// compiles: for a large program that takes seconds, on all processors.
///
/// Fails if the bytes are not a valid module.
///
/// # Safety
///
/// `engine` came out of `wt_engine_new`. `bytes` are `length` bytes, or `length` is 0. `error` is
/// NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_new(
    engine: *const WtEngine,
    bytes: *const u8,
    length: usize,
    error: *mut *mut c_char,
) -> *mut WtModule {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (engine, bytes) = unsafe { (given(engine, "engine")?, given_bytes(bytes, length)?) };
        Ok(owned(compile(engine, bytes)?))
    })
}

/// `wt_module_new` from a file.
///
/// Fails if the file cannot be read, or is not a valid module.
///
/// # Safety
///
/// `engine` came out of `wt_engine_new`. `path` ends with a NUL byte. `error` is NULL or may be
/// written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_open(
    engine: *const WtEngine,
    path: *const c_char,
    error: *mut *mut c_char,
) -> *mut WtModule {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (engine, path) = unsafe { (given(engine, "engine")?, text(path, "path")?) };
        let bytes =
            std::fs::read(path).map_err(|error| format!("cannot read `{path}`: {error}"))?;
        Ok(owned(compile(engine, &bytes)?))
    })
}

/// Returns the compiled program as bytes, for `wt_module_load`, or for a file for
/// `wt_module_load_file`. They load in an engine with the same flags, with the same version of this
/// library and the same kind of processor. Stores their number at `length`. Delete them with
/// `wt_bytes_delete`.
///
/// Fails if there is not enough memory for them.
///
/// # Safety
///
/// `module` came out of this library. `length` may be written. `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_serialize(
    module: *const WtModule,
    length: *mut usize,
    error: *mut *mut c_char,
) -> *mut u8 {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let module = unsafe { given(module, "module")? };
        if length.is_null() {
            return Err("`length` is NULL".to_owned());
        }
        let bytes = module.module.serialize();
        let bytes = bytes.map_err(|error| format!("{error:#}"))?;
        let bytes = bytes.into_boxed_slice();
        // SAFETY: not NULL, and the caller says that it may be written.
        unsafe { length.write(bytes.len()) };
        Ok(Box::into_raw(bytes).cast())
    })
}

/// Makes a module from bytes of `wt_module_serialize`, without compiling.
///
/// The bytes are native code: a user that can change them can do everything that this process may
/// do. A checksum finds accidental changes, and no attacks. Keep the bytes where no other user can
/// write.
///
/// Fails if they are damaged, or from another version, or from an engine with other flags.
///
/// # Safety
///
/// `bytes` are `length` unchanged bytes of `wt_module_serialize`. `engine` came out of
/// `wt_engine_new`. `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_load(
    engine: *const WtEngine,
    bytes: *const u8,
    length: usize,
    error: *mut *mut c_char,
) -> *mut WtModule {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (engine, bytes) = unsafe { (given(engine, "engine")?, given_bytes(bytes, length)?) };
        // SAFETY: the caller says that they are what `serialize` gave.
        let module = unsafe { ThreadModule::deserialize(&engine.engine, bytes) };
        let module = module.map_err(|error| words(&error))?;
        Ok(owned(of(engine, module)))
    })
}

/// `wt_module_load` from a file, which is mapped and not copied. While the module or a group of it
/// exists, do not write into the file, but replace it. A `.cwasm` of `wasi-threads-run compile` is
/// such a file only if it was compiled with the engine's options: `-W epoch-interruption=y`, or `n`
/// for an engine with `WT_ENGINE_UNINTERRUPTED`.
///
/// Fails like `wt_module_load`, and if the file cannot be read.
///
/// # Safety
///
/// The file has the bytes of `wt_module_serialize`, and does not change. `path` ends with a NUL
/// byte. `engine` came out of `wt_engine_new`. `error` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_load_file(
    engine: *const WtEngine,
    path: *const c_char,
    error: *mut *mut c_char,
) -> *mut WtModule {
    guard(error, ptr::null_mut(), || {
        // SAFETY: the caller's promises.
        let (engine, path) = unsafe { (given(engine, "engine")?, text(path, "path")?) };
        // SAFETY: the caller says what the file has, and that it stays as it is.
        let module = unsafe { ThreadModule::deserialize_file(&engine.engine, path) };
        let module = module.map_err(|error| format!("cannot load `{path}`: {}", words(&error)))?;
        Ok(owned(of(engine, module)))
    })
}

/// Deletes a module. Its groups go on.
///
/// # Safety
///
/// `module` is NULL or came out of this library, and is used no more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_module_delete(module: *mut WtModule) {
    // SAFETY: the caller's promise.
    unsafe { delete(module) }
}

fn compile(engine: &WtEngine, bytes: &[u8]) -> Result<WtModule, String> {
    if Engine::detect_precompiled(bytes).is_some() {
        return Err("the module is compiled already: `wt_module_load` takes it".to_owned());
    }
    let bytes = wat::parse_bytes(bytes).map_err(|error| error.to_string())?;
    let module = prepare(&engine.engine, &bytes).map_err(|error| words(&error))?;
    Ok(of(engine, module))
}

fn of(engine: &WtEngine, module: ThreadModule) -> WtModule {
    WtModule {
        module,
        termination: engine.termination,
    }
}

/// # Safety
///
/// `bytes` is NULL, or `length` is 0, or there are `length` bytes that do not change for `'a`.
unsafe fn given_bytes<'a>(bytes: *const u8, length: usize) -> Result<&'a [u8], String> {
    if length == 0 {
        return Ok(&[]);
    }
    if bytes.is_null() {
        return Err("`bytes` is NULL".to_owned());
    }
    if isize::try_from(length).is_err() {
        return Err("`length` is larger than any memory".to_owned());
    }
    // SAFETY: not NULL, not too long; the rest is the caller's promise.
    Ok(unsafe { slice::from_raw_parts(bytes, length) })
}
