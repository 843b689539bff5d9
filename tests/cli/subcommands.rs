//! `inspect`, `completion`, `man`, and what every program has.

use std::time::Duration;

use crate::program;
use integration_tests::{Guest, Input};

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
        .args("inspect -")
        .input(Input::Bytes(text.into()))
        .run()
        .expect_code(1);
    for flag in ["--shared-memory", "--export-memory", "wasi_thread_start"] {
        assert!(run.stdout.contains(flag), "no `{flag}`: {run}");
    }
    assert!(!run.stdout.contains("--import-memory"), "{run}");
    program()
        .args("inspect -")
        .input(Input::Bytes(b"\0asm\x01\0\0\0\x01\x7f".to_vec()))
        .run()
        .expect_code(1)
        .expect_stderr(&["cannot be inspected"]);
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
    let run = program().arg("--version").run().expect_code(0);
    assert!(run.stdout.starts_with("wasi-threads-run 48."), "{run}");
    let run = program().arg("--help").run().expect_code(0);
    for text in ["--dir", "--env", "--timeout", "Exit status", "Unofficial"] {
        assert!(run.stdout.contains(text), "no `{text}`: {run}");
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
    compile(&Guest::wat("hello"), "").expect_code(0);
    assert_eq!(run("").expect_code(0).stdout, "hello, world\n");
    compile(&Guest::c("ending"), "").expect_code(0);
    run("exit wait").expect_code(7);
    // Only a prepared module can be seen to be stuck: the stamp did its work.
    #[cfg(unix)]
    run("stay wait")
        .expect_code(134)
        .expect_stderr(&["all its threads wait for one another"]);
    // Other options, other code.
    compile(&Guest::wat("hello"), "-W epoch-interruption=n").expect_code(0);
    run("")
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
