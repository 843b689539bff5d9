//! The option `-D coredump`.

use std::path::Path;

use wasmtime_cli_flags::CommonOptions;

use crate::message::{Message, Result};
use crate::output::Output;

/// Where `-D coredump` writes.
pub(super) fn coredump(common: &CommonOptions) -> Result<Option<Output>> {
    match &common.debug.coredump {
        // Reserved, as in Wasmtime, so that patterns can get a meaning later.
        Some(path) if path.contains('%') => {
            Err(Message::usage("the path of `-D coredump` contains a `%`")
                .why("patterns are not supported")
                .help("name a file"))
        }
        Some(path) if path.is_empty() => {
            Err(Message::usage("`-D coredump` names no file").help("name one: `-D coredump=FILE`"))
        }
        Some(path) => Output::asked_for("the core dump", Some(Path::new(path))),
        None => Ok(None),
    }
}
