//! Whether a module that was prepared before is the same as one prepared now.

use std::hash::Hash;

use wasmtime::Engine;

use crate::rewrite::{RewriteOptions, extend_fingerprint};

/// A value to hash into the key of a cache of prepared modules: everything, besides the bytes of a
/// module, that decides the result of [`prepare_with`](crate::prepare_with)
/// ([`ThreadModule::serialize`](crate::ThreadModule::serialize)). Needs the feature `compile`.
///
/// If this and the bytes are the same, so is the module, and what was serialized can be
/// deserialized. The engines then have the same compiler, settings and version of Wasmtime, and the
/// same code prepares with the same options. It includes [`Engine::precompile_compatibility_hash`],
/// of which it is the counterpart.
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

/// A fingerprint of the sources that decide what is in a serialized module, the rewrite's and this
/// crate's own. It changes when they do.
const FINGERPRINT: u64 = {
    let rewrite = crate::rewrite::FINGERPRINT;
    let prepare = extend_fingerprint(rewrite, include_bytes!("prepare.rs"));
    let prepared = extend_fingerprint(prepare, include_bytes!("prepared.rs"));
    let serialize = extend_fingerprint(prepared, include_bytes!("serialize.rs"));
    let sites = extend_fingerprint(serialize, include_bytes!("access_sites.rs"));
    extend_fingerprint(sites, include_bytes!("precompiled.rs"))
};
