//! Whether what was prepared once is what would be prepared now.

use std::hash::Hash;

use wasmtime::Engine;

use crate::rewrite::{RewriteOptions, extend_fingerprint};

/// What, besides the bytes of a module, decides what [`prepare_with`](crate::prepare_with) makes of it: for the keys of a cache of prepared
/// modules ([`ThreadModule::serialize`](crate::ThreadModule::serialize)). Needs the feature `compile`.
///
/// Where this and the bytes are the same, so is the module, and what was serialized can be deserialized: the engines
/// have the same compiler, settings and version of wasmtime, and the preparation has the same options and is made by the
/// same code. The counterpart of [`Engine::precompile_compatibility_hash`], which is part of it.
///
/// ```
/// use std::hash::{BuildHasher, RandomState};
/// use wasi_threads::preparation_compatibility_hash;
/// use wasi_threads::rewrite::RewriteOptions;
///
/// let engine = wasmtime::Engine::default();
/// let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true))?;
/// let options = RewriteOptions::default();
/// let hasher = RandomState::new();
/// assert_ne!(
///     hasher.hash_one(preparation_compatibility_hash(&engine, &options)),
///     hasher.hash_one(preparation_compatibility_hash(&other, &options)),
/// );
/// # Ok::<(), wasmtime::Error>(())
/// ```
pub fn preparation_compatibility_hash<'a>(
    engine: &'a Engine,
    options: &RewriteOptions,
) -> impl Hash + use<'a> {
    (
        engine.precompile_compatibility_hash(),
        env!("CARGO_PKG_VERSION"),
        FINGERPRINT,
        options.clone(),
    )
}

/// Of the sources that decide what is in a serialized module, those of the rewrite and this crate's own, and so is
/// another one when they are changed.
const FINGERPRINT: u64 = {
    let rewrite = crate::rewrite::FINGERPRINT;
    let prepare = extend_fingerprint(rewrite, include_bytes!("prepare.rs"));
    let prepared = extend_fingerprint(prepare, include_bytes!("prepared.rs"));
    let serialize = extend_fingerprint(prepared, include_bytes!("serialize.rs"));
    extend_fingerprint(serialize, include_bytes!("precompiled.rs"))
};
