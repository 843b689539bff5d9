//! Errors of libraries, as text for a message.

use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::WasmBacktrace;

use crate::message::Message;

/// An error's own words and those of its causes, on one line.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    // What is in a backtrace is not Wasmtime's to write: names become as long as they like there.
    let words = match error.is::<WasmBacktrace>() {
        true => error.root_cause().to_string(),
        false => format!("{error:#}"),
    };
    shown(&words)
}

/// The same of any error.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause in their own words.
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    shown(&text)
}

/// On one line, with what a module has in it visible.
fn shown(words: &str) -> String {
    escape(&words.replace('\n', " "), 4 * NAME_CHARS).to_string()
}

/// The message about options that the library which has them does not take.
pub(crate) fn unusable_options(error: &wasmtime::Error) -> Message {
    Message::usage("the options cannot be used").why(first_line(error))
}
