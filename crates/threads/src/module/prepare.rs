//! From the bytes of a module to a [`ThreadModule`]: [`prepare`] rewrites ([`crate::rewrite`]),
//! compiles, and keeps what a group has to know about the module.

use wasmtime::{Engine, Module, Precompiled};

use crate::module::prepared::Prepared;
use crate::module::thread_module::ThreadModule;
use crate::rewrite::{self, RewriteError, RewriteOptions};

/// The first bytes of every binary.
const MAGIC: &[u8] = b"\0asm";

/// Why a module could not be prepared. Needs the feature `compile`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The bytes are a module that Wasmtime has compiled already, so there is nothing left to
    /// rewrite. Load it with `Module::deserialize`, and give it to
    /// [`ThreadModule::from_unprepared`].
    #[error("the module is precompiled, and compiled code cannot be rewritten")]
    Precompiled,
    /// The bytes do not begin as every WebAssembly binary does. `Module::new` also takes the text
    /// format; here the caller parses it.
    #[error(
        "the bytes are no WebAssembly binary; if they are the text format, parse it first \
         (`wat::parse_bytes`)"
    )]
    NotBinary,
    /// The rewrite refused the bytes: they are not a valid core module.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// The rewritten module does not compile on this engine, mostly because it uses a feature that
    /// is switched off there.
    #[error("the module does not compile on this engine")]
    Compile(#[source] wasmtime::Error),
}

/// Rewrites a module as [`RewriteOptions::default`] says, and compiles it. Needs the feature
/// `compile`.
///
/// `bytes` are a WebAssembly binary; the caller parses the text format (`wat::parse_bytes`). Takes
/// the time of a compilation, on the calling thread (and on Wasmtime's compiler threads, if those
/// are enabled). Takes no lock.
///
/// # Errors
///
/// See [`PrepareError`]; no input makes it panic.
pub fn prepare(engine: &Engine, bytes: &[u8]) -> Result<ThreadModule, PrepareError> {
    prepare_with(engine, bytes, &RewriteOptions::default())
}

/// [`prepare`] with a choice of what is rewritten. Needs the feature `compile`.
///
/// If a module's waits are left alone ([`RewriteOptions::waits`]), a group can end them only by
/// waking every address, as in an unprepared module.
///
/// # Errors
///
/// See [`PrepareError`].
pub fn prepare_with(
    engine: &Engine,
    bytes: &[u8],
    options: &RewriteOptions,
) -> Result<ThreadModule, PrepareError> {
    if matches!(
        Engine::detect_precompiled(bytes),
        Some(Precompiled::Module | Precompiled::Component)
    ) {
        return Err(PrepareError::Precompiled);
    }
    // The beginning of a binary that was cut short is the rewrite's to refuse.
    if !bytes.starts_with(MAGIC) && !MAGIC.starts_with(bytes) {
        return Err(PrepareError::NotBinary);
    }
    let rewritten = rewrite::rewrite_with(bytes, options)?;
    let module = Module::from_binary(engine, &rewritten.bytes).map_err(PrepareError::Compile)?;
    Ok(ThreadModule::new(module, Some(Prepared::of(&rewritten))))
}
