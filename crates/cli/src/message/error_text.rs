//! Errors of libraries as text for messages.

use std::error::Error;

use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::WasmBacktrace;

use crate::message::Message;
use crate::message::wording::{WasmtimeError, wasmtime_error};

/// An error's own words and those of its causes, on one line.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    match error.is::<WasmBacktrace>() {
        // With a backtrace only the root cause: Wasmtime would write the names without bounds.
        true => root_cause(error),
        // Wasmtime's own format leaves out the causes of an error of another library.
        false => one_line(error.as_ref()),
    }
}

/// The text of the root cause, on one line.
pub(crate) fn root_cause(error: &wasmtime::Error) -> String {
    shown(&error.root_cause().to_string())
}

/// The text of any error and of its causes, on one line.
pub(crate) fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat the text of their cause.
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    shown(&text)
}

/// The text on one line, escaped.
fn shown(words: &str) -> String {
    escape(&words.replace('\n', " "), 4 * NAME_CHARS).to_string()
}

/// Adds the cause to the message and, for a known Wasmtime error, the help.
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

/// The help for a Wasmtime error that keeps a program from running.
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

/// The message about options that their library refuses.
pub(crate) fn unusable_options(error: &wasmtime::Error) -> Message {
    let message = Message::usage("the options cannot be used");
    match wasmtime_error(error) {
        Some(WasmtimeError::AddressSpace) => message.why(first_line(error)).help(
            "the pooling allocator reserves all memories, tables and stacks at once: ask for fewer \
             (`-O pooling-total-memories=N`, `-O pooling-total-tables=N`, `-O pooling-total-stacks=N`) or smaller memories \
             (`-O memory-reservation=BYTES`), or raise the limit of the address space (`ulimit -v`)",
        ),
        _ => because(message, error),
    }
}
