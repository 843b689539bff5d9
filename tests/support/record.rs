//! What programs said on stderr, written down for `scripts/messages.sh`.

use std::io::Write as _;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names the folder that records are written to. Without it there are none.
const FOLDER: &str = "RECORD_MESSAGES";

/// Writes down the command `line`, what it was given on `stdin`, and what it said.
///
/// # Panics
///
/// If the folder cannot be written.
pub fn record(line: &str, stdin: &[u8], status: Option<i32>, stderr: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    if stderr.is_empty() {
        return;
    }
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("{}-{number}", std::process::id());
    let status = status.map_or_else(|| "signal".to_owned(), |status| status.to_string());
    let stdin = String::from_utf8_lossy(stdin);
    let mut file = std::fs::File::create(Path::new(&folder).join(name)).expect("a record");
    // No part has a NUL byte: command lines cannot, and texts lose theirs here.
    let parts = [line, &stdin, &status, stderr].map(|part| part.replace('\0', ""));
    file.write_all(parts.join("\0").as_bytes())
        .expect("a record");
}

/// [`record`] of a shell's `line`, whose `output` it returns.
///
/// # Panics
///
/// As [`record`].
pub fn recorded(line: &str, output: Output) -> Output {
    let stderr = String::from_utf8_lossy(&output.stderr);
    record(line, b"", output.status.code(), &stderr);
    output
}
