//! The text of `--version`.

use std::ffi::OsStr;

/// This program's version, and Wasmtime's if it is asked for: what is reported as a fault may be
/// one of Wasmtime's.
pub(crate) fn version() -> &'static str {
    let own = env!("CARGO_PKG_VERSION");
    if std::env::args_os().any(|arg| is_asked_by(&arg)) {
        // Once in a process, which then ends.
        format!("{own} (Wasmtime {})", wasmtime_environ::VERSION).leak()
    } else {
        own
    }
}

/// Whether this word of the command line asks for it.
pub(crate) fn is_asked_by(word: &OsStr) -> bool {
    word == "--version" || word == "-V"
}
