//! A module's bytes, made ready for threads.

use wasi_threads::{PrepareError, ThreadModule};
use wasmtime::{Cache, Engine};

use crate::message::error_text::{first_line, one_line};
use crate::message::progress::Progress;
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
    prepare_cached(engine, cache, bytes).map_err(|error| cannot_be_prepared(&error, name, threads))
}

/// A module that does not become a program.
///
/// `threads`: whether the options allow shared memories and atomics.
fn cannot_be_prepared(error: &PrepareError, name: &str, threads: bool) -> Message {
    let message = Message::failure(format!("{name} cannot be compiled"));
    let why = match error {
        PrepareError::Compile(cause) => first_line(cause),
        other => one_line(other),
    };
    // What the validator says names the proposal.
    if !threads && why.contains("threads") {
        return message
            .why("it uses shared memory or atomics, and `-W threads=n` forbids that")
            .help("leave out `-W threads=n`");
    }
    // Cut short, or with another file's bytes in it.
    match why.contains("unexpected end") {
        true => message
            .why(why)
            .help("the file seems to be incomplete: build or download it again"),
        false => message.why(why),
    }
}
