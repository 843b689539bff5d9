//! The only unsafe code of this package: native code that was compiled before, and a look at the process as it was
//! started.
#![allow(unsafe_code)]

use std::fs::File;
#[cfg(unix)]
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::{Engine, Module};

/// Native code, from wherever it is.
#[derive(Debug)]
pub(crate) enum Code {
    /// To be mapped.
    File(File),
    /// From a pipe.
    Bytes(Vec<u8>),
}

impl Code {
    /// Makes it a module, for `--allow-precompiled`.
    pub(crate) fn deserialize(&self, engine: &Engine) -> wasmtime::Result<Module> {
        // Both ask that the bytes come from `Module::serialize` or `Engine::precompile_module`, unmodified,
        // because they are run as native code. That cannot be checked here; the user, who could run
        // any native code as well, has vouched for it with `--allow-precompiled`, the
        // only way to this function. What `compile` adds is outside of what they read: behind the
        // sections that the ELF header names, and in the header's unused bytes (the stamp of wasi-threads).
        match self {
            Code::File(file) => {
                let file = file.try_clone()?;
                // SAFETY: as above. That a mapped file stays as it is, is vouched for in the same way;
                // `compile` replaces files and does not write into them.
                unsafe { Module::deserialize_open_file(engine, file) }
            }
            // SAFETY: as above.
            Code::Bytes(bytes) => unsafe { Module::deserialize(engine, bytes) },
        }
    }
}

/// Makes a module of what the cache had.
pub(crate) fn deserialize_cached(engine: &Engine, bytes: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: the bytes must come from `Module::serialize`, unmodified, because they are run as native code.
    // - They were read from Wasmtime's cache folder, in a file whose name is the SHA-256 of the module and of all
    //   that decides what becomes of it. Such files are written by `cache.rs`, which writes what
    //   `ThreadModule::serialize` gave and nothing else.
    // - They have the checksum and the length that were written: no file that was cut short or damaged gets here.
    // - Who writes something else there, checksum and all, must be able to write the folder, and Wasmtime runs what it
    //   finds in that folder in the same way (`compile_cached` in its `src/compile/runtime.rs`), without a checksum.
    //   So whoever is not to run native code as this user must not be able to write the folder, as before.
    // - The mark of wasi-threads in them is in unused bytes of the ELF header (see `Code::deserialize`).
    unsafe { Module::deserialize(engine, bytes) }
}

/// Whether this process was started with SIGPIPE ignored.
#[cfg(unix)]
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// The dynamic loader calls it before `main`: afterwards Rust's runtime has SIGPIPE ignored in any case.
#[cfg(unix)]
#[used]
// SAFETY: these sections hold pointers to functions that take no parameters that they would have to
// look at and return nothing, as this one does.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
static BEFORE_MAIN: extern "C" fn() = before_main;

#[cfg(unix)]
extern "C" fn before_main() {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is changed, and `action` is as large as what is written into it.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    if asked == 0 {
        // SAFETY: it was written, and all zeroes are a `sigaction` as well.
        let action = unsafe { action.assume_init() };
        SIGPIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    }
}

/// Whether writing to a pipe that nobody reads ends a program that this process runs, as it would end the process.
#[cfg(unix)]
pub(crate) fn sigpipe_ends() -> bool {
    // The same thread wrote it, before `main`.
    !SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn sigpipe_ends() -> bool {
    false
}
