//! What fails beside the program, or after it: the status stays the program's.

use crate::{EXIT_7, TRAP, program};
use integration_tests::{Guest, Program, TRAPPED};

fn given(text: &str, options: &str) -> Program {
    program().args(options).on_stdin(text)
}

/// A failure must not take the place of the program's end, with status 1, nor keep later messages
/// from being printed.
#[test]
#[cfg(target_os = "linux")]
fn a_trace_or_core_dump_that_cannot_be_written_changes_no_status() {
    let full =
        "warning: the trace `/dev/full` cannot be written: No space left on device (os error 28)\n";
    for (text, status) in [
        (EXIT_7, 7),
        (TRAP, TRAPPED),
        (r#"(module (func (export "_start")))"#, 0),
    ] {
        let run = given(text, "--trace /dev/full --stats")
            .run()
            .expect_code(status);
        assert!(run.stderr.contains(full), "{run}");
        assert!(run.stderr.contains("\nthreads  0 started"), "{run}");
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    let run = program()
        .args("-D coredump=/dev/full --stats --trace")
        .arg(&trace)
        .guest(&Guest::c("ending"))
        .args("trap wait")
        .run()
        .expect_code(TRAPPED)
        .expect_stderr(&[
            "warning: the core dump `/dev/full` cannot be written: No space left",
            "thread 1 of",
            "threads  1 started",
        ]);
    let text = std::fs::read_to_string(&trace).unwrap();
    assert!(text.contains("thread 1 trapped"), "{run}");
}

/// Wasmtime panics where a module has a global for an exception (bytecodealliance/wasmtime#14102).
#[test]
fn a_core_dump_that_cannot_be_taken_changes_no_status() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("core");
    let text =
        r#"(module (global (mut exnref) (ref.null exn)) (func (export "_start") unreachable))"#;
    let run = program()
        .args("-W exceptions,gc,function-references -D")
        .arg(format!("coredump={}", path.display()))
        .on_stdin(text)
        .run()
        .expect_code(TRAPPED)
        .expect_stderr(&[
            "wasm trap: wasm `unreachable` instruction executed",
            "cannot be written: the module has a global for exceptions",
        ]);
    assert!(!run.stderr.contains("panicked") && !path.exists(), "{run}");
}

/// What `--invoke` was called for is its results: without them nothing has succeeded.
#[test]
#[cfg(target_os = "linux")]
fn results_that_cannot_be_written_are_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("f.wat");
    std::fs::write(
        &module,
        r#"(module (func (export "f") (result i32) (i32.const 5)))"#,
    )
    .unwrap();
    let output = std::process::Command::new("bash")
        .args(["-c", "\"$0\" --stats --invoke f \"$1\" > /dev/full"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(&module)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.starts_with("error: stdout cannot be written\n  why: No space left"),
        "{said}"
    );
    assert!(said.contains("threads  0 started"), "{said}");
}

/// A run that never was one leaves an older trace as it is.
#[test]
fn what_cannot_be_run_leaves_the_trace_alone() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace.json");
    std::fs::write(&trace, "older").unwrap();
    for module in ["nowhere.wasm", env!("CARGO_BIN_EXE_wasi-threads-run")] {
        program()
            .arg("--trace")
            .arg(&trace)
            .arg(module)
            .run()
            .expect_code(1);
        assert_eq!(
            std::fs::read_to_string(&trace).unwrap(),
            "older",
            "{module}"
        );
    }
}

/// The time of a run is the program's. Writing down what it did does not count.
///
/// Its calls wait for nothing. A `sched_yield` would give its turn away beside a load: 100,000 of
/// them took over a minute.
#[test]
fn the_time_of_a_run_has_no_trace_in_it() {
    let calls = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start") (local $left i32)
          (local.set $left (i32.const 100000))
          (loop
            (drop (call $now (i32.const 1) (i64.const 1) (i32.const 0)))
            (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"#;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trace.json");
    let module = folder.path().join("calls.wat");
    std::fs::write(&module, calls).unwrap();
    let run = program()
        .args("--stats=json --trace")
        .arg(&path)
        .arg(&module)
        .run()
        .expect_code(0);
    let stats: serde_json::Value = serde_json::from_str(&run.stderr).unwrap();
    let trace: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let life = events
        .iter()
        .find(|event| event["ph"] == "X" && event["name"] == "main")
        .unwrap();
    let lived = life["dur"].as_f64().unwrap() / 1e6;
    let ran = stats["run_seconds"].as_f64().unwrap();
    let whole = run.elapsed.as_secs_f64();
    // Writing 100,000 events takes longer than making them. So half of the time outside of the life
    // is far more than the rest of the run takes.
    assert!(
        ran >= lived && ran - lived < (whole - lived) / 2.0,
        "{ran} {lived} {whole}"
    );
}

/// Wasmtime's compiler panics at vectors where the processor has none (riscv64).
#[test]
fn vectors_run_or_one_message_says_why_not() {
    let text = r#"(module (func (export "_start")
        (if (i32.eqz (i8x16.extract_lane_s 3 (i8x16.splat (i32.const 4)))) (then unreachable))))"#;
    let run = given(text, "").run();
    if run.code() == 0 {
        return;
    }
    let run = run.expect_code(1).expect_stderr(&[
        "cannot be compiled",
        "why: Wasmtime's compiler panicked: ",
        "if this processor has no vectors, build the program without SIMD",
    ]);
    assert!(!run.stderr.contains("panicked at"), "{run}");
    assert_eq!(run.stderr.lines().count(), 3, "{run}");
}
