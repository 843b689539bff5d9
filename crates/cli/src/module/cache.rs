//! The cache of prepared and compiled modules.
//!
//! It is Wasmtime's own in everything but the key: the same folder, the same `-C cache` and `-C cache-config`, the same
//! files and their clean-up. Wasmtime asks it for the module that it is to compile, which is the rewritten one, so every
//! start would have to rewrite. This asks for the module as it was read, and the engine has no cache, so that
//! nothing is kept twice. `DESIGN.md`, beside this crate's manifest, has more.

use std::hash::{Hash, Hasher};
use std::path::Path;

use wasi_threads::rewrite::RewriteOptions;
use wasi_threads::{PrepareError, Stamped, ThreadModule, preparation_compatibility_hash, prepare};
use wasmtime::{Cache, Engine};
use wasmtime_cli_flags::CodegenOptions;
use wasmtime_internal_cache::ModuleCacheEntry;

use crate::message::Result;
use crate::message::error_text::unusable_options;
use crate::message::wording::{WasmtimeError, wasmtime_error};
use crate::sys::native_code;

/// What the folder of our entries is called, with Wasmtime's version behind it; that of Wasmtime's is `wasmtime`.
const FOLDER: &str = "wasi-threads-run";

/// The cache that the options ask for, taken out of them: the engine is to have none.
pub(crate) fn take(options: &mut CodegenOptions) -> Result<Option<Cache>> {
    let asked_for = options.cache.replace(false);
    let config = options.cache_config.as_deref().map(Path::new);
    if asked_for == Some(false) {
        return Ok(None);
    }
    let error = match Cache::from_file(config) {
        Ok(cache) => return Ok(Some(cache)),
        Err(error) => error,
    };
    // A home that cannot be written (a container, a service's user) is no reason not to run, if nobody asked for a
    // cache. A file that configures it, and is wrong, is one.
    let nobody_asked = asked_for.is_none() && config.is_none();
    match wasmtime_error(&error) {
        Some(WasmtimeError::NoCacheFolder) if nobody_asked => Ok(None),
        _ => Err(unusable_options(&error)),
    }
}

/// Takes the prepared module out of the cache, or prepares it and puts it there.
///
/// What cannot be read, or is damaged, is as good as not there.
pub(crate) fn prepare_cached(
    engine: &Engine,
    cache: Option<&Cache>,
    wasm: &[u8],
) -> std::result::Result<ThreadModule, PrepareError> {
    ModuleCacheEntry::new(FOLDER, cache).get_data_raw(
        &Key { engine, wasm },
        |key| prepare(key.engine, key.wasm),
        |_, module| module.serialize().ok(),
        |key, bytes| load(key.engine, &bytes),
    )
}

/// All that decides what becomes of a module.
struct Key<'a> {
    engine: &'a Engine,
    /// As it was read.
    wasm: &'a [u8],
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The options of `prepare`.
        let options = RewriteOptions::default();
        preparation_compatibility_hash(self.engine, &options).hash(state);
        self.wasm.hash(state);
    }
}

fn load(engine: &Engine, bytes: &[u8]) -> Option<ThreadModule> {
    // Has a checksum, which Wasmtime's own entries lack.
    let stamped = Stamped::parse(bytes).ok()?;
    let module = native_code::deserialize_cached(engine, stamped.compiled()).ok()?;
    stamped.into_module(module).ok()
}
