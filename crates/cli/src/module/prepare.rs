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
use crate::sys::compiler;

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
        PrepareError::CompilerPanicked(_) => {
            message.why(one_line(error)).help(compiler::IF_IT_PANICS)
        }
        other => message.why(one_line(other)),
    }
}

#[cfg(test)]
mod tests {
    use wasi_threads::PrepareError;
    use wasmtime::Engine;

    use super::cannot_be_prepared;

    #[test]
    fn a_panic_of_the_compiler_is_one_message() {
        let error = PrepareError::CompilerPanicked("no rule\nfor this".into());
        let message = cannot_be_prepared(&error, &Engine::default(), b"", "`a.wasm`");
        let text = message.to_string();
        assert!(
            text.starts_with("error: `a.wasm` cannot be compiled\n"),
            "{text}"
        );
        let cause = "why: Wasmtime's compiler panicked: no rule for this\n";
        assert!(text.contains(cause), "{text}");
        assert!(text.contains("report it to Wasmtime"), "{text}");
    }
}
