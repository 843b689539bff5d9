//! `inspect MODULE`: is it a program that can run here, and if not, what is missing.
//!
//! Reads the module without compiling it, so that it is quick for large ones, and
//! says what is there for modules that would not even link.

mod describe;
mod facts;
mod missing;

use std::fmt::Write as _;

use wasm_symbols::escape;

use crate::message::error_text::first_line;
use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::module::source::{Loaded, ModuleSource};

use facts::Facts;
use missing::known;

/// Says what the module is on stdout; status 1 if something is missing.
pub(crate) fn inspect(source: &ModuleSource) -> Result<Exit> {
    let name = source.display();
    let Loaded::Wasm(wasm) = source.load()? else {
        return Err(Message::failure(format!("{name} cannot be inspected"))
            .why("it is precompiled: imports and exports are no longer there as such")
            .help("inspect the .wasm file it was made from"));
    };
    let facts = Facts::of(&wasm).map_err(|error| {
        Message::failure(format!("{name} cannot be inspected")).why(error.message())
    })?;
    let known = known().map_err(|error| {
        Message::failure(format!("{name} cannot be inspected")).why(first_line(&error))
    })?;
    let missing = facts.missing(&known);
    let mut text = facts.describe(&name);
    for line in &missing {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "missing: {}", escape(line, usize::MAX));
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

#[cfg(test)]
mod tests {
    use super::{Facts, known};

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
}
