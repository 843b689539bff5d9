//! Preparing a module's bytes for threads.

use wasi_threads::rewrite::{RewriteError, RewriteOptions};
use wasi_threads::{PrepareError, ThreadModule};
use wasmtime::{Cache, Engine};

use crate::message::error_text::{because, one_line};
use crate::message::progress::Progress;
use crate::message::wording::wasmparser_ended_early;
use crate::message::{Message, Result};
use crate::module::cache::prepare_cached;
use crate::module::proposals::lacking;

/// The help for a file that ends too early.
pub(super) const INCOMPLETE: &str = "the file seems to be incomplete: build or download it again";

/// Rewrites and compiles a module, if the cache does not have it.
pub(crate) fn prepare_wasm(
    engine: &Engine,
    cache: Option<&Cache>,
    bytes: &[u8],
    options: &RewriteOptions,
    name: &str,
) -> Result<ThreadModule> {
    let _progress = Progress::compiling(name, bytes.len());
    prepare_cached(engine, cache, bytes, options)
        .map_err(|error| cannot_be_prepared(&error, engine, bytes, name))
}

/// The message about a module that cannot be prepared.
fn cannot_be_prepared(error: &PrepareError, engine: &Engine, bytes: &[u8], name: &str) -> Message {
    let message = Message::failure(format!("{name} cannot be compiled"));
    match error {
        PrepareError::Compile(cause) => match &lacking(engine, bytes)[..] {
            [] => because(message, cause),
            [first, ..] => message.why(&first.why).help(&first.help),
        },
        // The file was cut short, or contains bytes of another one.
        PrepareError::Rewrite(RewriteError::Invalid(cause)) if wasmparser_ended_early(cause) => {
            message.why(one_line(error)).help(INCOMPLETE)
        }
        other => message.why(one_line(other)),
    }
}
