//! Pipes without a reader: SIGPIPE, as in other tools.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::{EXIT_7, TRAP};

/// Writes `yes` to stdout for ever; the errno of a write that fails is the exit status.
const YES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "yes\0a")
    (func (export "_start") (local $errno i32)
      (i32.store (i32.const 0) (i32.const 100))
      (i32.store (i32.const 4) (i32.const 4))
      (loop
        (local.set $errno (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (if (local.get $errno) (then (call $exit (local.get $errno))))
        (br 0))))"#;

fn module(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("module.wat");
    std::fs::write(&path, text).unwrap();
    path
}

/// Runs a line of bash in which `$0` is the binary and `$1` the module. SIGPIPE is at its default,
/// whatever the tests were started with.
fn bash(line: &str, module: &Path) -> Output {
    let output = Command::new("env")
        .args(["--default-signal=PIPE", "bash", "-c", line])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(module)
        .output()
        .unwrap();
    integration_tests::recorded(line, output)
}

/// A write to a pipe without a reader ends the program, as it does other tools (141 is SIGPIPE).
#[test]
#[cfg(target_os = "linux")]
fn a_closed_pipe_ends_the_program() {
    let folder = tempfile::tempdir().unwrap();
    let line = "\"$0\" --timeout 20s \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let output = bash(line, &module(folder.path(), YES));
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    assert_eq!(
        (&*output.stdout, &*output.stderr),
        (&b"yes\n"[..], &b""[..])
    );
}

/// The signal once took the trace and the figures with it.
#[test]
#[cfg(target_os = "linux")]
fn sigpipe_loses_neither_trace_nor_stats() {
    let folder = tempfile::tempdir().unwrap();
    let line = "\"$0\" --timeout 20s --trace \"${1%/*}/trace.json\" --stats=json \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let output = bash(line, &module(folder.path(), YES));
    assert_eq!(output.status.code(), Some(141), "{output:?}");
    let stats: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(
        stats["host_calls"]["fd_write"]["calls"].as_u64() > Some(0),
        "{stats}"
    );
    let trace: Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("trace.json")).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let last = &events[events.len() - 1];
    assert_eq!(last["name"], "the program ends: thread main raised SIGPIPE");
}

/// Started with SIGPIPE ignored, as by services and `trap '' PIPE`, the program gets the errno (64
/// is `pipe`).
#[test]
#[cfg(target_os = "linux")]
fn sigpipe_ignored_from_the_start_stays_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let line = "trap '' PIPE; \"$0\" --timeout 20s \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let output = bash(line, &module(folder.path(), YES));
    assert_eq!(output.status.code(), Some(64), "{output:?}");
}

/// What the binary itself says to a stderr without a reader once killed it, in place of the
/// program's own status.
#[test]
#[cfg(target_os = "linux")]
fn own_messages_to_a_closed_pipe_change_no_status() {
    let folder = tempfile::tempdir().unwrap();
    for (text, options, status) in [
        (TRAP, "", 134),
        (TRAP, "--stats", 134),
        (EXIT_7, "--stats", 7),
        (EXIT_7, "--stats=json", 7),
        (EXIT_7, "--trace /dev/full", 7),
    ] {
        // The reader is gone before the binary starts.
        let line = format!(
            "coproc true; exec 9>&${{COPROC[1]}}; wait; \"$0\" {options} \"$1\" 2>&9; exit $?"
        );
        let output = bash(&line, &module(folder.path(), text));
        assert_eq!(output.status.code(), Some(status), "{options}: {output:?}");
    }
}

/// A reader of the output that goes away is no panic.
/// (By a shell, which Windows has not.)
#[test]
#[cfg(unix)]
fn a_closed_pipe_is_no_panic() {
    // `-W help` is printed by a library that panics, which is how it once ended.
    for what in [
        "completion bash",
        "completion bash 2>&-",
        "-W help",
        "-S help",
        "--help",
    ] {
        // The reader is gone before the binary starts.
        let shell = format!("exec 9> >(exec true); wait $!; \"$0\" {what} >&9");
        let output = Command::new("bash")
            .arg("-c")
            .arg(shell)
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
    let output = Command::new("bash")
        .args(["-c", "exec 2>&-; \"$0\" nowhere.wasm"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// A full disk under what was asked for is an error, said in a line, and no panic.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_no_panic() {
    for what in ["completion bash", "-W help", "man", "--help", "--version"] {
        let output = Command::new("bash")
            .args(["-c", &format!("\"$0\" {what} > /dev/full")])
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: stdout cannot be written\n  why: No space left on device (os error 28)\n",
            "{what}"
        );
    }
}

/// The runtime opens `/dev/null` in place of a closed stdout, so that what was asked for once went
/// there, with status 0.
#[test]
#[cfg(target_os = "linux")]
fn a_closed_stdout_is_an_error_of_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let module = module(
        folder.path(),
        r#"(module (func (export "_start")) (func (export "f") (result i32) (i32.const 5)))"#,
    );
    for what in [
        "completion bash",
        "man",
        "--help",
        "--version",
        "inspect \"$1\"",
        "--invoke f \"$1\"",
    ] {
        let output = bash(&format!("\"$0\" {what} >&-"), &module);
        assert_eq!(output.status.code(), Some(1), "{what}: {output:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "error: stdout cannot be written\n  why: it is closed\n",
            "{what}"
        );
    }
    // Where nothing is to be written, nothing is wrong. All three may be closed.
    let output = bash("\"$0\" \"$1\" <&- >&- 2>&-", &module);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
