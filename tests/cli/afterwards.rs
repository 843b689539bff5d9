//! What is done when the program has ended: figures, trace, core dump, messages. None of it changes how the program
//! ended, and none keeps the others from being done.

use std::process::{Command, Stdio};

use crate::program;
use integration_tests::{Guest, Program};

/// A WAT module in a file, so that a shell can be given its path.
fn module(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::Builder::new().suffix(".wat").tempfile().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

const EXIT_7: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 7))))"#;
const TRAP: &str = r#"(module (func (export "_start") unreachable))"#;
const NOTHING: &str = r#"(module (func (export "_start")))"#;
/// Prints "yes" for ever.
const YES: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "yes\0a")
    (func (export "_start")
      (i32.store (i32.const 0) (i32.const 100))
      (i32.store (i32.const 4) (i32.const 4))
      (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))"#;

/// A trace that cannot be written made the status 1.
#[test]
#[cfg(target_os = "linux")]
fn a_trace_that_cannot_be_written_keeps_the_status() {
    for (text, status) in [(EXIT_7, 7), (TRAP, 134), (NOTHING, 1)] {
        program()
            .args("--trace /dev/full --stats")
            .arg(module(text).path())
            .run()
            .expect_code(status)
            .expect_stderr(&["error: cannot write the trace `/dev/full`", "to run"]);
    }
}

/// A core dump that cannot be written made the status 1, and took trace and figures with it.
#[test]
#[cfg(unix)]
fn a_core_dump_that_cannot_be_written_keeps_the_status() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    program()
        .args("-D coredump=no/such/folder/core --stats --trace")
        .arg(&trace)
        .arg(module(TRAP).path())
        .run()
        .expect_code(134)
        .expect_stderr(&["the core dump cannot be written", "to run", "trapped"]);
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(
        trace.contains("thread 0 trapped") || trace.contains("main trapped"),
        "{trace}"
    );
}

/// Messages on a stderr that nobody reads ended the process by SIGPIPE.
#[test]
#[cfg(unix)]
fn a_closed_stderr_keeps_the_status() {
    for (text, status) in [(EXIT_7, 7), (TRAP, 134), (NOTHING, 0)] {
        let file = module(text);
        let folder = tempfile::tempdir().unwrap();
        let trace = folder.path().join("trace.json");
        let mut child = Command::new(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .arg("--stats")
            .arg("--trace")
            .arg(&trace)
            .arg(file.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stderr.take());
        let ended = child.wait().unwrap();
        assert_eq!(ended.code(), Some(status), "{ended:?}");
        assert!(trace.metadata().unwrap().len() > 100);
    }
}

/// A reader of stdout that goes away ends the program, and figures and trace are still there.
#[test]
#[cfg(unix)]
fn a_closed_stdout_keeps_figures_and_trace() {
    let file = module(YES);
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    let line =
        "\"$0\" --timeout 20s --stats --trace \"$2\" \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let run = Program::new("bash")
        .arg("-c")
        .arg(line)
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(file.path())
        .arg(&trace)
        .run()
        .expect_code(141)
        .expect_stderr(&["fd_write", "1 failed"]);
    assert_eq!(run.stdout, "yes\n");
    let trace = std::fs::read_to_string(trace).unwrap();
    assert!(trace.contains("the program ends: cancelled"));
}

/// A program that looks at the error of its write does not get to: as with the signal, the write is the last it does.
#[test]
#[cfg(unix)]
fn nothing_runs_after_a_write_to_a_closed_pipe() {
    let file = module(&YES.replace(
        "(loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))",
        "(loop (br_if 0 (i32.eqz (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
         ;; It failed: complain on stderr.
         (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))",
    ));
    for options in ["", "-W epoch-interruption=n"] {
        let line = format!("\"$0\" {options} \"$1\" | head -n 1; exit ${{PIPESTATUS[0]}}");
        let run = Program::new("bash")
            .arg("-c")
            .arg(line)
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .arg(file.path())
            .run()
            .expect_code(141);
        assert_eq!((&*run.stdout, &*run.stderr), ("yes\n", ""));
    }
}

/// The time to run was taken after the trace had been written.
#[test]
#[cfg(unix)]
fn the_time_to_run_is_without_the_trace() {
    // A FIFO that somebody reads only after half a second, and more events than a pipe holds.
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || {
            let file = std::fs::File::open(fifo).unwrap();
            std::thread::sleep(std::time::Duration::from_secs(1));
            std::io::copy(&mut std::io::BufReader::new(file), &mut std::io::sink()).unwrap()
        }
    });
    let run = program()
        .args("--stats=json --trace")
        .arg(&fifo)
        .guest(&Guest::c("spawns"))
        .args("row 300")
        .run()
        .expect_code(0);
    assert!(reader.join().unwrap() > 1 << 17, "the pipe holds it all");
    let said: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
    let ran = said["run_seconds"].as_f64().unwrap();
    assert!(ran < run.elapsed.as_secs_f64() - 0.5, "{ran}: {run}");
}
