//! Errors of libraries, as text for a message.

use std::error::Error;

use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::WasmBacktrace;

use crate::message::Message;
use crate::message::wording::{WasmtimeError, wasmtime_error};

/// An error's own words and those of its causes, on one line.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    match error.is::<WasmBacktrace>() {
        // What is in a backtrace is not Wasmtime's to write: names become as long as they like there.
        true => root_cause(error),
        // Its own way to show all of them leaves out the causes of an error that was not its own.
        false => one_line(error.as_ref()),
    }
}

/// The words of the last of its causes, on one line.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    shown(&error.root_cause().to_string())
}

/// An error's own words and those of its causes, on one line, whatever error it is.
pub(crate) fn one_line(error: &dyn Error) -> String {
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

/// Has the message say why, and what to do where that is known of an error of Wasmtime's.
pub(crate) fn because(message: Message, error: &wasmtime::Error) -> Message {
    let message = message.why(first_line(error));
    let Some(error) = wasmtime_error(error) else {
        return message;
    };
    match help(error) {
        Some(help) => message.help(help),
        None => message,
    }
}

/// What to do about an error of Wasmtime's that keeps a program from running.
pub(crate) fn help(error: WasmtimeError) -> Option<&'static str> {
    Some(match error {
        WasmtimeError::AddressSpace => {
            "raise the limit of the address space (`ulimit -v`), or have less reserved for each memory: \
             `-O memory-reservation=BYTES` (4 GiB by default; compiled files need it when they are compiled, too)"
        }
        WasmtimeError::NotExecutable => {
            "compiled code has to be made executable, and this process may not do that: allow it (systemd: \
             `MemoryDenyWriteExecute=no`; prctl: PR_SET_MDWE)"
        }
        WasmtimeError::MemoryLimit => "raise `-W max-memory-size`",
        WasmtimeError::TableLimit => "raise `-W max-table-elements`",
        WasmtimeError::TableCount => {
            "raise `-W max-tables` (the count has one table more than the program's: that of its waits)"
        }
        WasmtimeError::InstanceCount => "raise `-W max-instances`",
        WasmtimeError::MemoryCount => "raise `-W max-memories`",
        WasmtimeError::PoolIsFull => {
            "each thread takes a place of the pooling allocator: raise what it has (`-O pooling-total-core-instances=N`, \
             `-O pooling-total-tables=N`, `-O pooling-total-memories=N`), or do without it"
        }
        _ => return None,
    })
}

/// The message about options that the library which has them does not take.
pub(crate) fn unusable_options(error: &wasmtime::Error) -> Message {
    let message = Message::usage("the options cannot be used");
    match wasmtime_error(error) {
        Some(WasmtimeError::AddressSpace) => message.why(first_line(error)).help(
            "the pooling allocator reserves all memories at once: ask for fewer (`-O pooling-total-memories=N`) or smaller ones \
             (`-O memory-reservation=BYTES`), or raise the limit of the address space (`ulimit -v`)",
        ),
        _ => because(message, error),
    }
}
