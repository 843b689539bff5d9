//! `inspect`, `completion`, `man`, and what every program has.

use std::time::Duration;

use crate::program;
use integration_tests::{Guest, TRAPPED};

#[test]
fn inspect() {
    let run = program()
        .arg("inspect")
        .guest(&Guest::c("spawns"))
        .run()
        .expect_code(0);
    for text in [
        "a wasi-threads program",
        "imported as env.memory, shared, 16 MiB to 64 MiB",
        "exported as memory",
        "imports wasi.thread-spawn, exports wasi_thread_start",
        "fd_write",
        "nothing is missing",
    ] {
        assert!(run.stdout.contains(text), "no `{text}`: {run}");
    }
    let run = program()
        .arg("inspect")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
    assert!(run.stdout.contains("without threads"), "{run}");
}

#[test]
fn inspect_names_what_is_missing() {
    let text = r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32)))
                   (import "env" "memory" (memory 1)) (func (export "_start")))"#;
    let run = program()
        .args("inspect")
        .on_stdin(text)
        .run()
        .expect_code(1);
    for flag in ["--shared-memory", "--export-memory", "wasi_thread_start"] {
        assert!(run.stdout.contains(flag), "no `{flag}`: {run}");
    }
    assert!(!run.stdout.contains("--import-memory"), "{run}");
    program()
        .args("inspect")
        .on_stdin(b"\0asm\x01\0\0\0\x01\x7f".to_vec())
        .run()
        .expect_code(1)
        .expect_stderr(&[
            "cannot be inspected",
            "help: the file seems to be incomplete",
        ]);
}

/// If `inspect` finds nothing missing in a module, `run` runs it. If `run` refuses a module,
/// `inspect` says why. So it must look at more than memories and the names of exports.
#[test]
fn inspect_and_run_agree() {
    let spawn = r#"(import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))"#;
    let memory = r#"(import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))"#;
    let entry = r#"(func (export "wasi_thread_start") (param i32 i32))"#;
    let start = r#"(func (export "_start"))"#;
    let yields = |module: &str, name: &str, result: &str| {
        format!(
            r#"(import "{module}" "{name}" (func {result})) (memory (export "memory") 1) {start}"#
        )
    };
    let (one, zero) = ("wasi_snapshot_preview1", "wasi_unstable");
    let result = "(result i32)";
    for (good, module, said) in [
        (true, format!("{spawn} {memory} {entry} {start}"), ""),
        (true, start.to_owned(), ""),
        (true, "(func $f) (start $f)".into(), ""),
        (
            true,
            format!(r#"(import "env" "memory" (memory 1 1 shared)) {start}"#),
            "",
        ),
        (true, yields(one, "sched_yield", result), ""),
        (true, yields(zero, "sched_yield", result), ""),
        (true, r#"(func (export "_initialize"))"#.into(), ""),
        (
            false,
            yields(one, "no_such", result),
            "`wasi_snapshot_preview1` has no function `no_such`",
        ),
        (
            false,
            yields(zero, "sock_accept", result),
            "`wasi_unstable` has no function `sock_accept`",
        ),
        (
            false,
            yields(one, "sched_yield", ""),
            "`wasi_snapshot_preview1.sched_yield` is () -> (i32), and not () -> ()",
        ),
        (
            false,
            yields("env", "nope", result),
            "nothing provides the function `env.nope`: link it in, or run with `--preload env=MODULE`",
        ),
        (
            false,
            format!(r#"(import "env" "g" (global i32)) {start}"#),
            "the global `env.g`",
        ),
        (
            true,
            format!(r#"(import "env" "memory" (memory 1)) {start}"#),
            "",
        ),
        (
            false,
            r#"(func (export "_start") (param i32))"#.into(),
            "`_start` is (i32) -> (), and not () -> ()",
        ),
        (
            false,
            format!(
                r#"(import "wasi" "thread-spawn" (func (param i64) (result i32))) {memory} {entry} {start}"#
            ),
            "`wasi.thread-spawn` as (i64) -> (i32), not as a function from i32 to i32: build it with a current toolchain",
        ),
        (
            false,
            format!("{spawn} (memory 1) {entry} {start}"),
            "--import-memory",
        ),
    ] {
        let text = format!("(module {module})");
        let run = |command: &str| program().args(command).on_stdin(text.clone()).run();
        let (inspected, ran) = (run("inspect"), run("run"));
        assert_eq!(inspected.code() == 0, good, "{text}: {inspected}");
        assert_eq!(ran.code() == 0, good, "{text}: {ran}");
        assert!(inspected.stdout.contains(said), "{text}: {inspected}");
    }
    // A wrong `wasi_thread_start` is no reason not to run, until something spawns.
    let text = format!(
        r#"(module {spawn} {memory} {start} (func (export "wasi_thread_start") (param i32)))"#
    );
    let run = program()
        .args("inspect")
        .on_stdin(text)
        .run()
        .expect_code(1);
    assert!(
        run.stdout
            .contains("`wasi_thread_start` is (i32) -> (), and not (i32, i32) -> ()"),
        "{run}"
    );
}

#[test]
fn for_the_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let run = program().args("completion").arg(shell).run().expect_code(0);
        assert!(
            run.stdout.contains("--max-threads") || run.stdout.contains("max-threads"),
            "{run}"
        );
    }
    let run = program().arg("man").run().expect_code(0);
    assert!(
        run.stdout.starts_with(".ie") || run.stdout.starts_with(".TH"),
        "{run}"
    );
    // Every subcommand's options, and no page that is not there.
    for text in ["emit\\-clif", "SUBCOMMAND COMPILE", "SUBCOMMAND INSPECT"] {
        assert!(run.stdout.contains(text), "no `{text}`: {run}");
    }
    assert!(!run.stdout.contains("(1)"), "{run}");
    let run = program().arg("--version").run().expect_code(0);
    // The exact Wasmtime too: what is reported as a fault may be one of its.
    let lock = std::fs::read_to_string(integration_tests::repository().join("Cargo.lock")).unwrap();
    let (_, after) = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .unwrap();
    let (wasmtime, _) = after.split_once('"').unwrap();
    let own = env!("CARGO_PKG_VERSION");
    let said = format!("wasi-threads-run {own} (Wasmtime {wasmtime})\n");
    assert_eq!(run.stdout, said);
    assert_eq!(program().arg("-V").run().expect_code(0).stdout, said);
    let run = program().arg("--help").run().expect_code(0);
    for text in ["--dir", "--env", "--timeout", "Exit status", "Unofficial"] {
        assert!(run.stdout.contains(text), "no `{text}`: {run}");
    }
    // Options that are always refused are in no list, and neither are those of old command lines.
    for text in ["--record", "--target", "--wasi-modules", "--opt-level"] {
        assert!(!run.stdout.contains(text), "`{text}`: {run}");
    }
}

#[test]
fn compile() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.cwasm");
    let compile = |guest: &Guest, options: &str| {
        program()
            .arg("compile")
            .args(options)
            .guest(guest)
            .arg("-o")
            .arg(&out)
            .run()
    };
    let run = |args: &str| {
        program()
            .args("--allow-precompiled")
            .arg(&out)
            .args(args)
            .timeout(Duration::from_secs(20))
            .run()
    };
    // With old options, and with one that concerns the run only.
    compile(
        &Guest::wat("hello"),
        "--wasm-features=threads --disable-parallel-compilation -S inherit-env",
    )
    .expect_code(0);
    assert_eq!(run("").expect_code(0).stdout, "hello, world\n");
    compile(&Guest::c("ending"), "").expect_code(0);
    run("exit wait").expect_code(7);
    // Only a prepared module can be seen to be stuck: the stamp did its work.
    run("stay wait")
        .expect_code(TRAPPED)
        .expect_stderr(&["all its threads wait for one another"]);
    // Code with checks, and without: either kind runs, unless the other is asked for.
    compile(&Guest::wat("hello"), "-W epoch-interruption").expect_code(0);
    assert_eq!(run("").expect_code(0).stdout, "hello, world\n");
    program()
        .args("--allow-precompiled -W epoch-interruption=n")
        .arg(folder.path().join("out.cwasm"))
        .run()
        .expect_code(1)
        .expect_stderr(&["cannot be loaded", "epoch"]);
    program()
        .args("compile -")
        .run()
        .expect_code(2)
        .expect_stderr(&["--output"]);
    // Without --output it lies where the command was given, as with `wasmtime compile`.
    let module = folder.path().join("modules/a.wat");
    std::fs::create_dir(module.parent().unwrap()).unwrap();
    std::fs::copy(Guest::wat("hello").path(), &module).unwrap();
    program()
        .arg("compile")
        .arg(&module)
        .in_folder(folder.path())
        .run()
        .expect_code(0);
    assert!(folder.path().join("a.cwasm").is_file());
    assert_eq!(
        std::fs::read_dir(folder.path().join("modules"))
            .unwrap()
            .count(),
        1
    );
}
