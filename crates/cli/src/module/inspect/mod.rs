//! `inspect MODULE`: whether a module can run here, and if not, what is missing.
//!
//! Reads and validates the module without compiling it. So it is quick for large modules, and works
//! for modules that would not even link.

mod describe;
mod facts;
mod missing;
mod races;

use std::fmt::Write as _;

use wasi_threads::rewrite::{ModuleLimits, rewrite};
use wasm_symbols::escape;
use wasmparser::Validator;
use wasmtime::Engine;
use wasmtime_cli_flags::CommonOptions;

use crate::message::error_text::{first_line, one_line, unusable_options};
use crate::message::exit::Exit;
use crate::message::wording::wasmparser_ended_early;
use crate::message::{Message, Result};
use crate::module::engine;
use crate::module::prepare::INCOMPLETE;
use crate::module::proposals::lacking;
use crate::module::source::{Loaded, ModuleSource};
use crate::module::toolchain::fault;

use facts::Facts;
use missing::known;

/// Describes the module on stdout; status 1 if something is missing.
pub(crate) fn inspect(source: &ModuleSource) -> Result<Exit> {
    let name = source.display();
    let Loaded::Wasm(wasm) = source.load(&ModuleLimits::default())? else {
        return Err(Message::failure(format!("{name} cannot be inspected"))
            .why("it is precompiled: imports and exports are no longer there as such")
            .help("inspect the .wasm file it was made from"));
    };
    let facts = Facts::of(&wasm).map_err(|error| {
        let message = Message::failure(format!("{name} cannot be inspected")).why(error.message());
        match wasmparser_ended_early(&error) {
            true => message.help(INCOMPLETE),
            false => message,
        }
    })?;
    let cannot =
        |error| Message::failure(format!("{name} cannot be inspected")).why(first_line(&error));
    let known = known().map_err(cannot)?;
    let mut missing = facts.missing(&known);
    missing.extend(invalid(&engine()?, &wasm));
    let mut text = facts.describe(&name);
    // Writing to a string cannot fail.
    let _ = writeln!(text, "  {:<10} {}", "races", facts.races(&wasm));
    for line in &missing {
        let _ = writeln!(text, "missing: {}", escape(line, usize::MAX));
    }
    if let Some(fault) = fault(&wasm) {
        let _ = writeln!(text, "note: {}", fault.describe());
    }
    if missing.is_empty() {
        text.push_str("nothing is missing\n");
    }
    crate::message::print(&text)?;
    Ok(if missing.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

/// The engine of a run without options.
fn engine() -> Result<Engine> {
    let mut common = CommonOptions::new();
    // Nothing is compiled, so there is no cache.
    common.codegen.cache = Some(false);
    let (config, _) = engine::configure(&mut common, None, None)?;
    Engine::new(&config).map_err(|error| unusable_options(&error))
}

/// Why `wasm` would not compile, each with the remedy if that is known.
fn invalid(engine: &Engine, wasm: &[u8]) -> Vec<String> {
    let mut validator = Validator::new_with_features(engine.get_wasm_features());
    let why = match validator.validate_all(wasm) {
        Err(error) => one_line(&error),
        // Whether the rewrite can append its functions and table.
        Ok(_) => match rewrite(wasm) {
            Ok(_) => return Vec::new(),
            Err(error) => one_line(&error),
        },
    };
    match &lacking(engine, wasm)[..] {
        [] => vec![format!("it is not a valid module: {why}")],
        lacking => lacking
            .iter()
            .map(|lacking| format!("{}: {}", lacking.why, lacking.help))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, engine, invalid, known};

    fn missing(text: &str) -> Vec<String> {
        let wasm = wat::parse_str(text).unwrap();
        Facts::of(&wasm).unwrap().missing(&known().unwrap())
    }

    #[test]
    fn what_is_missing() {
        let spawn = r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#;
        assert_eq!(
            missing(&format!(
                r#"(module {spawn} (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
                   (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
            )),
            Vec::<String>::new()
        );
        let bare = missing(&format!("(module {spawn} (memory 1))"));
        for flag in [
            "_start",
            "--import-memory",
            "--shared-memory",
            "--export-memory",
            "wasi_thread_start",
        ] {
            assert!(
                bare.iter().any(|line| line.contains(flag)),
                "{flag}: {bare:?}"
            );
        }
        let own = missing(&format!(
            r#"(module {spawn} (import "env" "memory" (memory 1 1 shared)) (memory 1) (export "memory" (memory 1))
               (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
        ));
        assert_eq!(own.len(), 1, "{own:?}");
        assert!(own[0].starts_with("it starts threads, but exports a memory of its own"));
        assert_eq!(
            missing(r#"(module (memory (export "memory") 1) (func (export "_start")))"#),
            Vec::<String>::new()
        );
    }

    /// For such modules it once said that nothing was missing.
    #[test]
    fn what_does_not_compile() {
        let engine = engine().unwrap();
        let invalid = |text: &str| invalid(&engine, &wat::parse_str(text).unwrap());
        assert_eq!(
            invalid("(module (memory 1 1 shared))"),
            Vec::<String>::new()
        );
        assert_eq!(
            invalid("(module (memory 1 (pagesize 1)))"),
            [
                "it uses the proposal \"custom page sizes\", which is off by default: `-W custom-page-sizes` turns it on"
            ]
        );
        let wrong = invalid("(module (func (drop (i32.add (i64.const 1) (i32.const 2)))))");
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(
            wrong[0].starts_with("it is not a valid module: ")
                && wrong[0].contains("type mismatch"),
            "{wrong:?}"
        );
    }
}
