//! A module's bytes, made ready for threads.

use wasi_threads::rewrite::RewriteError;
use wasi_threads::{PrepareError, ThreadModule};
use wasmparser::{Validator, WasmFeatures};
use wasmtime::{Cache, Engine};

use crate::message::error_text::{first_line, one_line};
use crate::message::progress::Progress;
use crate::message::wording::wasmparser_ended_early;
use crate::message::{Message, Result};
use crate::module::cache::prepare_cached;

/// Rewrites and compiles a module, if the cache does not have it. `threads`: whether the options allow shared memories
/// and atomics.
pub(crate) fn prepare_wasm(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    name: &str,
    threads: bool,
) -> Result<ThreadModule> {
    let _progress = Progress::compiling(name, bytes.len());
    prepare_cached(engine, cache, bytes)
        .map_err(|error| cannot_be_prepared(&error, bytes, name, threads))
}

/// A module that does not become a program.
fn cannot_be_prepared(error: &PrepareError, bytes: &[u8], name: &str, threads: bool) -> Message {
    let message = Message::failure(format!("{name} cannot be compiled"));
    match error {
        PrepareError::Compile(_) if !threads && needs_threads(bytes) => message
            .why("it uses shared memory or atomics, and `-W threads=n` forbids that")
            .help("leave out `-W threads=n`"),
        PrepareError::Compile(cause) => message.why(first_line(cause)),
        // Cut short, or with another file's bytes in it.
        PrepareError::Rewrite(RewriteError::Invalid(cause)) if wasmparser_ended_early(cause) => {
            message
                .why(one_line(error))
                .help("the file seems to be incomplete: build or download it again")
        }
        other => message.why(one_line(other)),
    }
}

/// Whether a module that is valid is so only with the proposal of threads.
fn needs_threads(wasm: &[u8]) -> bool {
    let others = WasmFeatures::all().difference(WasmFeatures::THREADS);
    Validator::new_with_features(others)
        .validate_all(wasm)
        .is_err()
}

#[cfg(test)]
mod tests {
    use super::needs_threads;

    #[test]
    fn who_needs_threads() {
        for (text, needs) in [
            ("(module (memory 1))", false),
            ("(module (memory 1 1 shared))", true),
            (
                "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
                true,
            ),
        ] {
            assert_eq!(
                needs_threads(&wat::parse_str(text).unwrap()),
                needs,
                "{text}"
            );
        }
    }
}
