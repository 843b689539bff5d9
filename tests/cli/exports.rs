//! What of a module is run, with what beneath it, on which memory.

use crate::program;
use integration_tests::{Guest, TRAPPED};

#[test]
fn another_export() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "other") (call $exit (i32.const 3)))
        (func (export "takes") (param i32))
        (func (export "_start") (call $exit (i32.const 4))))"#;
    let run = |args: &str| program().args(args).on_stdin(text).run();
    run("").expect_code(4);
    run("--invoke other").expect_code(3);
    run("--invoke nowhere")
        .expect_code(1)
        .expect_stderr(&["nowhere"]);
    run("--invoke takes").expect_code(2).expect_stderr(&[
        "not enough arguments for `takes`",
        "parameter 1 of type i32",
    ]);
}

/// As with `wasmtime run`: parameters come from the arguments, results go to stdout.
#[test]
fn exports_with_parameters() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (global $made (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $made (i32.const 100)))
        (func (export "sum") (param i32 i64 f32 f64) (result i64 f64)
          (i64.add (i64.extend_i32_s (i32.add (local.get 0) (global.get $made))) (local.get 1))
          (f64.add (f64.promote_f32 (local.get 2)) (local.get 3)))
        (func (export "end") (param i32) (result i32) (call $exit (local.get 0)) (i32.const 0))
        (func (export "trap") (param i32) (result i32) unreachable)
        (func (export "reference") (result funcref) (ref.null func)))"#;
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("calls.wat");
    std::fs::write(&module, text).unwrap();
    let run = |function: &str, args: &str| {
        program()
            .args(&format!("--invoke {function}"))
            .arg(&module)
            .args(args)
            .run()
    };
    assert_eq!(
        run("sum", "-3 0x10 1.5 2").expect_code(0).stdout,
        "113\n3.5\n"
    );
    // What is left over is the program's.
    assert_eq!(run("sum", "0 0 0 0 more").expect_code(0).stdout, "100\n0\n");
    run("sum", "1 x 0 0").expect_code(2).expect_stderr(&[
        "`x` is no parameter for `sum`",
        "parameter 2 is of type i64",
    ]);
    run("end", "9").expect_code(9);
    run("reference", "")
        .expect_code(1)
        .expect_stderr(&["references"]);
    assert_eq!(run("trap", "1").expect_code(TRAPPED).stdout, "");
}

/// Libraries under names, one importing from the other, and both from WASI; every thread has its
/// own of each.
#[test]
fn libraries_beneath_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let low = write(
        "low.wat",
        r#"(module
             (global $calls (mut i32) (i32.const 0))
             (global $made (mut i32) (i32.const 0))
             (func (export "_initialize") (global.set $made (i32.const 1000)))
             (func (export "next") (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
               (i32.add (global.get $calls) (global.get $made))))"#,
    );
    let high = write(
        "high.wat",
        r#"(module
             (import "low" "next" (func $next (result i32)))
             (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
             (memory (export "memory") 1)
             (func (export "twice") (result i32)
               ;; Into this library's own memory.
               (drop (call $random (i32.const 8) (i32.const 8)))
               (if (i64.eqz (i64.load (i32.const 8))) (then unreachable))
               (drop (call $next)) (call $next)))"#,
    );
    let main = write(
        "main.wat",
        r#"(module
             (import "high" "twice" (func $twice (result i32)))
             (memory (export "memory") 1)
             (func (export "f") (result i32)
               (if (i64.ne (i64.load (i32.const 8)) (i64.const 0)) (then unreachable))
               (call $twice)))"#,
    );
    let run = |options: &str| program().args(options).args("--invoke f").arg(&main).run();
    let both = format!("--preload low={low} --preload high={high}");
    assert_eq!(run(&both).expect_code(0).stdout, "1002\n");
    run(&format!("--preload high={high} --preload low={low}"))
        .expect_code(1)
        .expect_stderr(&["high.wat` cannot be run", "the function `low.next`"]);
    run(&format!("--preload low={low}"))
        .expect_code(1)
        .expect_stderr(&["main.wat` cannot be run", "the function `high.twice`"]);
    run("--preload high=nowhere.wasm")
        .expect_code(1)
        .expect_stderr(&["cannot read `nowhere.wasm`"]);
    run(&format!(
        "--preload low={}",
        Guest::wat("hello").path().display()
    ))
    .expect_code(1);

    // With threads: a counter in each.
    let counter = write(
        "counter.wat",
        r#"(module
             (global $calls (mut i32) (i32.const 0))
             (func (export "next") (result i32)
               (global.set $calls (i32.add (global.get $calls) (i32.const 1))) (global.get $calls)))"#,
    );
    let threads = write(
        "threads.wat",
        r#"(module
             (import "counter" "next" (func $next (result i32)))
             (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (import "env" "memory" (memory 1 1 shared))
             (export "memory" (memory 0))
             (func (export "wasi_thread_start") (param i32 i32)
               (drop (call $next))
               (call $exit (i32.add (i32.const 40) (call $next))))
             (func (export "_start")
               (drop (call $next)) (drop (call $next))
               (drop (call $spawn (i32.const 0)))
               (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#,
    );
    program()
        .args(&format!("--preload counter={counter}"))
        .arg(threads)
        .run()
        .expect_code(42);
}

/// Which memory WASI works on: the one exported as `memory`, whatever else is there.
#[test]
fn the_exported_memory_is_wasis() {
    // `random_get` of 8 bytes at 0; then which of the memories has any.
    let looks = |load: &str| {
        format!(
            r#"(if (i64.ne ({load} (i32.const 0)) (i64.const 0)) (then (call $exit (i32.const 1))))"#
        )
    };
    let module = |memories: &str, random_in: u32| {
        format!(
            r#"(module
                 (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
                 (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                 {memories}
                 (func (export "_start")
                   (drop (call $random (i32.const 0) (i32.const 8)))
                   (if (i64.eqz (i64.load {random_in} (i32.const 0))) (then (call $exit (i32.const 2))))
                   {}))"#,
            looks(&format!("i64.load {}", 1 - random_in))
        )
    };
    for (what, memories, random_in) in [
        (
            "two own ones",
            r#"(memory 1) (memory 1) (export "memory" (memory 1))"#,
            1,
        ),
        (
            "two shared ones",
            r#"(import "env" "a" (memory 1 1 shared)) (import "env" "b" (memory 1 1 shared))
               (export "memory" (memory 1))"#,
            1,
        ),
        (
            "two shared ones, the first exported",
            r#"(import "env" "a" (memory 1 1 shared)) (import "env" "b" (memory 1 1 shared))
               (export "memory" (memory 0))"#,
            0,
        ),
        (
            "an own one exported, a shared one imported",
            r#"(import "env" "memory" (memory 1 1 shared)) (memory 1) (export "memory" (memory 1))"#,
            1,
        ),
        (
            "an own shared one exported",
            r#"(import "env" "memory" (memory 1 1 shared)) (memory 1 1 shared) (export "memory" (memory 1))"#,
            1,
        ),
    ] {
        let run = program().on_stdin(module(memories, random_in)).run();
        assert_eq!(run.code(), 0, "{what}: {run}");
    }
}

/// A library (a WASI reactor): `_initialize` first, then what is named, in one
/// instance.
#[test]
fn libraries() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (global $made (mut i32) (i32.const 0))
        (func (export "_initialize") (global.set $made (i32.const 5)))
        (func (export "tell") (call $exit (global.get $made)))
        (func (export "quiet"))
        (func (export "trap") unreachable))"#;
    let run = |args: &str| program().args(args).on_stdin(text).run();
    run("").expect_code(0);
    run("--invoke tell").expect_code(5);
    run("--invoke quiet --stats")
        .expect_code(0)
        .expect_stderr(&["threads  0 started"]);
    run("--invoke nowhere")
        .expect_code(1)
        .expect_stderr(&["tell, quiet"]);
    run("--invoke trap")
        .expect_code(TRAPPED)
        .expect_stderr(&["unreachable"]);
}

/// What the preparation of a module exports cannot be seen or called from outside: a start function
/// once ran twice.
#[test]
fn exports_of_the_rewrite_are_not_the_programs() {
    let run = |options: &str, text: &str| program().args(options).on_stdin(text).run();
    let starts = r#"(module (func $f) (start $f) (func (export "a")))"#;
    let refused = run("--invoke wasi-threads:start", starts).expect_code(1);
    assert_eq!(
        refused.stderr,
        "error: the module on stdin has no function `wasi-threads:start` to run\n  \
         why: it exports: a\n  \
         help: name one with `--invoke`\n"
    );
    // One that is the program's own may have any name.
    let own = r#"(module (func $f) (start $f) (func (export "wasi-threads:start")))"#;
    run("--invoke wasi-threads:start", own).expect_code(0);
    run("--invoke wasi-threads:start-1", own).expect_code(1);
    // Nor is it there for the module above a library.
    let folder = tempfile::tempdir().unwrap();
    let library = folder.path().join("library.wat");
    std::fs::write(&library, starts).unwrap();
    let above = r#"(module (import "lib" "wasi-threads:start" (func)) (func (export "_start")))"#;
    run(&format!("--preload lib={}", library.display()), above)
        .expect_code(1)
        .expect_stderr(&[
            "nothing provides what it imports: the function `lib.wasi-threads:start`",
        ]);
}

/// A module that has no program runs its start function, as with `wasmtime run`; it was once
/// refused.
#[test]
fn a_module_without_an_entry_runs_its_start_function() {
    let run = |text: &str| program().on_stdin(text).run();
    let exits = run(r#"(module
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (func $start (call $exit (i32.const 9)))
             (start $start))"#)
    .expect_code(9);
    assert_eq!(exits.stderr, "");
    let quiet = run("(module (func $f) (start $f))").expect_code(0);
    assert_eq!(quiet.stderr, "");
    run("(module (func $f unreachable) (start $f))")
        .expect_code(TRAPPED)
        .expect_stderr(&["unreachable"]);
    let nothing = run(r#"(module (func (export "a")) (func (export "b")))"#).expect_code(0);
    assert_eq!(
        nothing.stderr,
        "note: the module on stdin has no function `_start`, so there is nothing to run: it exports: a, b; \
         name one with `--invoke`\n"
    );
}
