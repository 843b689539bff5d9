//! The cache of prepared and compiled modules.
//!
//! It is Wasmtime's own cache except for the key: the same folder, the same `-C cache` and
//! `-C cache-config`, the same files and their clean-up. Wasmtime's key is the module that it
//! compiles, which is the rewritten one, so every start would have to rewrite. The key here is the
//! module as it was read, and the engine has no cache, so that nothing is kept twice. `DESIGN.md`,
//! beside this crate's manifest, has more.

use std::hash::{Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use wasi_threads::rewrite::RewriteOptions;
use wasi_threads::{
    PrepareError, Stamped, ThreadModule, preparation_compatibility_hash, prepare_with,
};
use wasmtime::{Cache, Engine};
use wasmtime_cli_flags::CodegenOptions;
use wasmtime_internal_cache::ModuleCacheEntry;

use crate::message::error_text::unusable_options;
use crate::message::known_panics::{caught, words};
use crate::message::wording::{WasmtimeError, no_thread, says_no_thread, wasmtime_error};
use crate::message::{Message, Result};
use crate::sys::{native_code, process};

/// The name of the folder of this program's entries; Wasmtime's version is added to it. The folder
/// of Wasmtime's own entries is `wasmtime`.
const FOLDER: &str = "wasi-threads-run";

/// The cache that the options ask for. It is removed from the options, because the engine must have
/// none.
///
/// Code that is compiled for debuggers has no cache: breakpoints are in the code, and would get
/// into the cache with it.
pub(crate) fn take(options: &mut CodegenOptions, for_debuggers: bool) -> Result<Option<Cache>> {
    let asked_for = options.cache.replace(false);
    let config = options.cache_config.as_deref().map(Path::new);
    if asked_for == Some(false) {
        return Ok(None);
    }
    if for_debuggers {
        return match asked_for.is_some() || config.is_some() {
            true => Err(Message::usage("`-C cache` cannot be used with `-D debug-info`")
                .why("a debugger writes its breakpoints into the code, and they would be in the cache")
                .help("leave one of them out")),
            false => Ok(None),
        };
    }
    let error = match caught(no_thread, || Cache::from_file(config)) {
        Ok(Ok(cache)) => return Ok(Some(cache)),
        Ok(Err(error)) => error,
        // The cache needs a thread, which bounds the folder's size. On a host that refuses threads,
        // the program cannot run anyway.
        Err(_) => return Ok(None),
    };
    // If no option asks for a cache, a home that cannot be written (a container, a service's user)
    // is no reason not to run. A wrong configuration file is.
    let nobody_asked = asked_for.is_none() && config.is_none();
    let home = std::env::var_os("HOME").unwrap_or_default();
    match wasmtime_error(&error) {
        Some(WasmtimeError::NoCacheFolder | WasmtimeError::UnreadableCacheConfig)
            if nobody_asked =>
        {
            Ok(None)
        }
        // The configuration file is not to blame.
        Some(WasmtimeError::RelativeCacheFolder)
            if nobody_asked && Path::new(&home).is_relative() =>
        {
            Ok(None)
        }
        _ => Err(unusable_options(&error)),
    }
}

/// Takes the prepared module from the cache, or prepares it and puts it there.
///
/// An entry that cannot be read, or is damaged, counts as missing.
pub(crate) fn prepare_cached(
    engine: &Engine,
    cache: Option<&Cache>,
    wasm: &[u8],
    options: &RewriteOptions,
) -> std::result::Result<ThreadModule, PrepareError> {
    let Some(cache) = cache else {
        return compile(engine, wasm, options);
    };
    let key = Key::new(engine, wasm, options);
    let cache = Some(cache).filter(|cache| key.may_be_read(cache));
    ModuleCacheEntry::new(FOLDER, cache).get_data_raw(
        &key,
        |key| compile(key.engine, key.wasm, key.options),
        |_, module| module.serialize().ok(),
        |key, bytes| load(key.engine, &bytes),
    )
}

/// Prepares a module. Uses this thread alone if the compiler can start none.
fn compile(
    engine: &Engine,
    wasm: &[u8],
    options: &RewriteOptions,
) -> std::result::Result<ThreadModule, PrepareError> {
    let before = process::threads();
    let prepared = compiled(engine, wasm, options);
    let Err(PrepareError::CompilerPanicked(said)) = &prepared else {
        return prepared;
    };
    if !says_no_thread(said) {
        return prepared;
    }
    // The pool's first threads are told to end. Until then those that the program needs could
    // not be started.
    if let Some(before) = before {
        process::wait_for_threads_to_end(before);
    }
    let mut config = engine.config().clone();
    config.parallel_compilation(false);
    let alone = Engine::new(&config).map_err(PrepareError::Compile)?;
    let module = compiled(&alone, wasm, options)?;
    let bytes = module.serialize().map_err(PrepareError::Compile)?;
    let lost = || wasmtime::Error::msg("the compiled module does not load");
    load(engine, &bytes).ok_or_else(|| PrepareError::Compile(lost()))
}

/// Prepares a module. The panic hook prints nothing, for the error has the compiler's words.
fn compiled(
    engine: &Engine,
    wasm: &[u8],
    options: &RewriteOptions,
) -> std::result::Result<ThreadModule, PrepareError> {
    let prepare = AssertUnwindSafe(|| prepare_with(engine, wasm, options));
    match caught(|_| true, prepare) {
        Ok(prepared) => prepared,
        // It was not the compiler's. Now it is printed.
        Err(panic) => panic!("{}", words(&*panic)),
    }
}

/// Everything that decides the result of preparing a module.
struct Key<'a> {
    engine: &'a Engine,
    /// The module as it was read.
    wasm: &'a [u8],
    options: &'a RewriteOptions,
    /// A digest of the module, the engine and the options of `prepare`.
    digest: [u8; 32],
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.digest);
    }
}

/// A hasher that passes all bytes to BLAKE3.
struct Digest(blake3::Hasher);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the digest is taken out")
    }
}

impl<'a> Key<'a> {
    fn new(engine: &'a Engine, wasm: &'a [u8], options: &'a RewriteOptions) -> Self {
        let mut digest = Digest(blake3::Hasher::new());
        preparation_compatibility_hash(engine, options).hash(&mut digest);
        wasm.hash(&mut digest);
        Key {
            engine,
            wasm,
            options,
            digest: digest.0.finalize().into(),
        }
    }

    /// Whether a regular file, or nothing, is in the place of the entry. Reading a FIFO would wait
    /// for a writer.
    fn may_be_read(&self, cache: &Cache) -> bool {
        let name = URL_SAFE_NO_PAD.encode(Sha256::digest(self.digest));
        let folders = std::fs::read_dir(cache.directory().join("modules"));
        folders.into_iter().flatten().flatten().all(|folder| {
            let ours = folder.file_name().to_string_lossy().starts_with(FOLDER);
            let entry = std::fs::metadata(folder.path().join(&name));
            !ours || entry.map_or(true, |entry| entry.is_file())
        })
    }
}

fn load(engine: &Engine, bytes: &[u8]) -> Option<ThreadModule> {
    // The stamp has a checksum, which Wasmtime's own entries lack.
    let stamped = Stamped::parse(bytes).ok()?;
    let module = native_code::deserialize_cached(engine, stamped.compiled()).ok()?;
    stamped.into_module(module).ok()
}
