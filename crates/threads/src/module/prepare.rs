//! From the bytes of a module to a [`ThreadModule`]: [`prepare`] rewrites ([`crate::rewrite`]),
//! compiles, and keeps what a group has to know about the module.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::{Engine, Module, Precompiled};

use crate::module::prepared::Prepared;
use crate::module::thread_module::ThreadModule;
use crate::rewrite::{self, RewriteError, RewriteOptions};
use crate::sys::compiler;
use crate::types::outcome::panic_words;

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
    /// Wasmtime's compiler panicked, with these words. The engine can be used further. The panic
    /// hook has run.
    ///
    /// The module may have what the compiler cannot do on this processor (SIMD on riscv64 without
    /// vectors), or the compiler could start no thread.
    #[error("Wasmtime's compiler panicked: {0}")]
    CompilerPanicked(String),
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
/// Wasmtime 48 on riscv64 compiles small copies to instructions that not every processor has. So
/// [`RewriteOptions::small_copies`] is always on there.
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
    let mut options = options.clone();
    options.small_copies |= compiler::SMALL_COPIES_NEED_VECTORS;
    let rewritten = rewrite::rewrite_with(bytes, &options)?;
    let module = compiled(|| Module::from_binary(engine, &rewritten.bytes))?;
    Ok(ThreadModule::new(module, Some(Prepared::of(&rewritten))))
}

/// What the compiler makes, or why it makes nothing.
fn compiled(compile: impl FnOnce() -> wasmtime::Result<Module>) -> Result<Module, PrepareError> {
    // A compilation that is left halfway leaves nothing behind in the engine.
    match catch_unwind(AssertUnwindSafe(compile)) {
        Ok(compiled) => compiled.map_err(PrepareError::Compile),
        Err(panic) => Err(PrepareError::CompilerPanicked(panic_words(panic))),
    }
}

#[cfg(test)]
mod tests {
    use super::{PrepareError, compiled};

    #[test]
    fn a_panic_of_the_compiler_is_an_error_with_its_words() {
        let number = 7;
        let said = compiled(|| panic!("no rule for {number}"));
        let said = said.map(drop).unwrap_err().to_string();
        assert_eq!(said, "Wasmtime's compiler panicked: no rule for 7");
        let said = compiled(|| panic!("a word")).map(drop).unwrap_err();
        assert!(matches!(said, PrepareError::CompilerPanicked(words) if words == "a word"));
        let said = compiled(|| std::panic::panic_any(7)).map(drop).unwrap_err();
        assert!(said.to_string().ends_with("payload is not text"), "{said}");
        let refused = compiled(|| Err(wasmtime::Error::msg("no"))).map(drop);
        assert!(matches!(refused, Err(PrepareError::Compile(_))));
    }
}
