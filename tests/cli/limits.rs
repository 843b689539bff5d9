//! Limits hold.

use crate::program;
use integration_tests::emulated::left_out;
use integration_tests::{Guest, Input, TRAPPED};

#[test]
fn limits_of_calls() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "random") (result i32) (call $random (i32.const 0) (i32.const 1000)))
        ;; A path of 3000 zero bytes.
        (func (export "open") (result i32)
          (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3000) (i32.const 0)
            (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 60000)))
        (func (export "grow") (result i32) (memory.grow (i32.const 400)))
        (func (export "_start")))"#;
    let run = |options: &str| program().args(options).on_stdin(text).run();
    assert_eq!(run("--invoke random").expect_code(0).stdout, "0\n");
    // Not enough fuel for the path: ENOMEM (48), before the path is looked at.
    let no_name = if cfg!(windows) { "44\n" } else { "28\n" };
    assert_eq!(run("--dir . --invoke open").expect_code(0).stdout, no_name);
    let little = "--dir . -S hostcall-fuel=100 --invoke open";
    assert_eq!(run(little).expect_code(0).stdout, "48\n");
    let grow = "-W max-memory-size=100000 --invoke grow";
    assert_eq!(run(grow).expect_code(0).stdout, "-1\n");
    run("-S max-random-size=999 --invoke random")
        .expect_code(TRAPPED)
        .expect_stderr(&["1000 bytes, the limit is 999"]);
    run(&format!("-W trap-on-grow-failure {grow}"))
        .expect_code(TRAPPED)
        .expect_stderr(&["growing to 26279936 bytes of memory failed"]);
    // A shared memory grows without the host being asked.
    let shared = r#"(module (import "env" "memory" (memory 1 2 shared)) (func (export "_start")))"#;
    program()
        .args("-W trap-on-grow-failure")
        .on_stdin(shared)
        .run()
        .expect_code(2)
        .expect_stderr(&["when a shared memory grows"]);
}

#[test]
fn memory_limits() {
    // 256 MiB may be declared, 16 MiB are allowed.
    let shared = r#"(module (import "env" "memory" (memory 1 4096 shared)) (export "memory" (memory 0))
                     (func (export "_start")))"#;
    let run = |args: &str, text: &str| program().args(args).on_stdin(text).run();
    run("", shared).expect_code(0);
    run("-W max-memory-size=268435456", shared).expect_code(0);
    run("-W max-memory-size=16777216", shared)
        .expect_code(1)
        .expect_stderr(&["268435456", "16777216"]);
    let own = r#"(module (memory (export "memory") 1)
                  (func (export "_start")
                    (if (i32.ne (memory.grow (i32.const 400)) (i32.const -1)) (then unreachable))))"#;
    run("-W max-memory-size=16777216", own).expect_code(0);
}

/// The preparation's own table once counted, so that every threaded program was refused.
#[test]
fn the_tables_that_are_allowed_are_the_programs() {
    if left_out("the pooling allocator's 4 TiB of address space are too many") {
        return;
    }
    let threaded = |tables: &str| {
        format!(
            r#"(module
                 (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
                 (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
                 {tables}
                 (func (export "wasi_thread_start") (param i32 i32)
                   (i32.atomic.store (i32.const 0) (i32.const 1))
                   (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
                 (func (export "_start")
                   (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then unreachable))
                   (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
                   (drop (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const -1)))))"#
        )
    };
    let run =
        |options: &str, tables: &str| program().args(options).on_stdin(threaded(tables)).run();
    let one = "(table 4 funcref)";
    let two = "(table 4 funcref) (table 4 funcref)";
    for (options, enough, too_much) in [
        ("-O pooling-allocator", one, two),
        (
            "-O pooling-allocator,pooling-max-tables-per-module=0",
            "",
            one,
        ),
        (
            "-O pooling-allocator,pooling-max-tables-per-module=2",
            two,
            "(table 4 funcref) (table 4 funcref) (table 4 funcref)",
        ),
        (
            "-O pooling-allocator,pooling-total-tables=2,pooling-total-core-instances=2",
            one,
            "(table 4 funcref) (table 20001 funcref)",
        ),
        (
            "-O pooling-allocator,pooling-table-elements=4",
            one,
            "(table 5 funcref)",
        ),
        ("-O pooling-allocator,pooling-table-elements=0", "", one),
        ("-O pooling-allocator -W max-table-elements=1", "", one),
        ("-W max-tables=0", "", one),
        ("-W max-tables=1", one, two),
        ("-W max-table-elements=0", "", one),
        ("-W max-table-elements=4", one, "(table 5 funcref)"),
    ] {
        run(options, enough).expect_code(0);
        run(options, too_much)
            .expect_code(1)
            .expect_stderr(&["table"]);
    }
    for (options, limit) in [
        ("-W max-tables=0", "-W max-tables"),
        ("-W max-table-elements=0", "-W max-table-elements"),
        ("-W max-instances=0", "-W max-instances"),
        (
            "-O pooling-allocator,pooling-total-core-instances=0",
            "-O pooling-total-core-instances",
        ),
    ] {
        let raise = format!("`{limit}");
        run(options, one)
            .expect_code(1)
            .expect_stderr(&["help: ", "raise", &raise]);
    }
    // What is compiled ahead is the same.
    let folder = tempfile::tempdir().unwrap();
    let compiled = folder.path().join("a.cwasm");
    program()
        .args("compile -O pooling-allocator -o")
        .arg(&compiled)
        .on_stdin(threaded(one))
        .run()
        .expect_code(0);
    program()
        .args("-O pooling-allocator -W max-tables=1 --allow-precompiled")
        .arg(&compiled)
        .run()
        .expect_code(0);
}

#[test]
fn fuel() {
    let spin = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;
    program()
        .args("-W fuel=100000")
        .on_stdin(spin)
        .run()
        .expect_code(TRAPPED)
        .expect_stderr(&["fuel"]);
    program()
        .args("-W fuel=100000")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
}

/// Main counts to `alone` before it starts a thread, which waits for its end, and to `beside` after
/// it.
fn counting(alone: u32, beside: u32) -> String {
    format!(
        r#"(module
             (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
             (import "env" "memory" (memory 1 1 shared))
             (export "memory" (memory 0))
             (func $count (param $left i32)
               (loop
                 (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))
             (func (export "wasi_thread_start") (param i32 i32)
               (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
             (func (export "_start")
               (call $count (i32.const {alone}))
               (if (i32.const {beside}) (then
                 (drop (call $spawn (i32.const 0)))
                 (call $count (i32.const {beside}))))))"#
    )
}

/// A module that could start threads must have all of its fuel between two host calls, and not a
/// share of it.
#[test]
fn any_thread_can_use_all_the_fuel() {
    let run = |text: String| program().args("-W fuel=1000000").on_stdin(text).run();
    // Some five units for each.
    run(counting(180_000, 0)).expect_code(0);
    run(counting(300_000, 0))
        .expect_code(TRAPPED)
        .expect_stderr(&["all fuel consumed", "help: the limit is `-W fuel`"]);
    // Beside another one, too.
    run(counting(20_000, 160_000)).expect_code(0);
    run(counting(20_000, 300_000))
        .expect_code(TRAPPED)
        .expect_stderr(&["all fuel consumed", "help: the limit is `-W fuel`"]);
}

/// If the system has no capacity for another thread, the program gets EAGAIN (6), negated, and its
/// user is told which limit that is.
#[test]
#[cfg(target_os = "linux")]
fn the_limit_of_the_system_is_named() {
    let text = r#"(module
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
        (func (export "wasi_thread_start") (param i32 i32)
          (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
        (func (export "_start") (local $id i32)
          (loop $more
            (local.set $id (call $spawn (i32.const 0)))
            (br_if $more (i32.ge_s (local.get $id) (i32.const 0))))
          (call $exit (i32.sub (i32.const 0) (local.get $id)))))"#;
    // In KiB: enough for the program and the reservation of its memory.
    integration_tests::Program::new("sh")
        .args("-c")
        .arg("ulimit -v 6000000; exec \"$0\" -")
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .input(Input::Bytes(text.into()))
        .run()
        .expect_code(6)
        .expect_stderr(&["note: 1 spawn failed: ", "`ulimit -v`"]);
    // Asked for on the command line, it needs no explanation.
    let run = program()
        .args("--max-threads 3")
        .on_stdin(text)
        .run()
        .expect_code(6);
    assert_eq!(run.stderr, "");
}

/// 90 tables once took 691 MiB under a limit that held for each.
#[test]
fn a_limit_on_all_memory() {
    let tables: String = (0..90)
        .map(|n| format!("(table $t{n} 0 funcref)"))
        .collect();
    let grow: String = (0..90)
        .map(|n| {
            format!("(if (i32.lt_s (table.grow $t{n} (ref.null func) (i32.const 100000)) (i32.const 0)) (then (return (i32.const {n}))))")
        })
        .collect();
    let own =
        format!(r#"(module {tables} (func (export "tables") (result i32) {grow} (i32.const 90)))"#);
    let run = |options: &str, text: &str| program().args(options).on_stdin(text).run();
    let all = run("--invoke tables", &own).expect_code(0);
    assert_eq!(all.stdout, "90\n");
    // 800,000 bytes each; the main thread's stack is 1.5 MiB.
    let some = run("--max-total-memory 10000000 --invoke tables", &own).expect_code(0);
    assert_eq!(some.stdout, "10\n");
    // As Rust declares it: 1 GiB.
    let shared = r#"(module (import "env" "memory" (memory 1 16384 shared)) (export "memory" (memory 0))
        (func (export "grow") (result i32) (memory.grow (i32.const 2000)))
        (func (export "less") (result i32) (memory.grow (i32.const 100))))"#;
    let limited = "--max-total-memory 30000000 --invoke";
    assert_eq!(run("--invoke grow", shared).expect_code(0).stdout, "1\n");
    let grown = run(&format!("{limited} grow"), shared).expect_code(0);
    assert_eq!(grown.stdout, "-1\n");
    let grown = run(&format!("{limited} less"), shared).expect_code(0);
    assert_eq!(grown.stdout, "1\n");
    run("--max-total-memory 60000 --invoke less", shared)
        .expect_code(1)
        .expect_stderr(&["--max-total-memory"]);
}
