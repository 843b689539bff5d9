//! The option `-D coredump`.

use std::path::Path;

use wasmtime_cli_flags::CommonOptions;

use crate::message::{Message, Result};
use crate::output::Output;

/// Where `-D coredump` writes.
pub(super) fn coredump(common: &CommonOptions) -> Result<Option<Output>> {
    match &common.debug.coredump {
        // As Wasmtime does, so that what they may come to mean is free.
        Some(path) if path.contains('%') => Err(Message::usage(
            "`-D coredump` cannot have a `%` in its path",
        )
        .why("patterns are not supported")
        .help("name a file")),
        Some(path) if path.is_empty() => {
            Err(Message::usage("`-D coredump` names no file").help("name one: `-D coredump=FILE`"))
        }
        Some(path) => Output::asked_for("the core dump", Some(Path::new(path))),
        None => Ok(None),
    }
}
