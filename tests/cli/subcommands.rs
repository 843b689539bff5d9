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
        // fish has no dashes.
        assert!(run.stdout.contains("max-threads"), "{run}");
        if shell == "bash" {
            program_of(shell, "-n", run.stdout.as_bytes());
        }
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
    assert!(run.stdout.starts_with("wasi-threads-run 48."), "{run}");
    let run = program().arg("--help").run().expect_code(0);
    for text in ["--dir", "--env", "--timeout", "Exit status", "Unofficial"] {
        assert!(run.stdout.contains(text), "no `{text}`: {run}");
    }
    // What is always refused is not offered.
    assert!(!run.stdout.contains("--record"), "{run}");
    assert!(!run.stdout.contains("--target"), "{run}");
}

/// Has a shell read a script.
fn program_of(shell: &str, option: &str, script: &[u8]) {
    integration_tests::Program::new(shell)
        .arg(option)
        .input(Input::Bytes(script.to_vec()))
        .run()
        .expect_code(0);
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
    // A stamp whose length makes no sense.
    compile(&Guest::c("ending"), "").expect_code(0);
    let mut damaged = std::fs::read(&out).unwrap();
    let at = damaged.len() - 20;
    damaged[at..at + 4].fill(0xff);
    std::fs::write(&out, damaged).unwrap();
    run("exit wait")
        .expect_code(1)
        .expect_stderr(&["the stamp is damaged"]);
    program()
        .args("compile -")
        .run()
        .expect_code(2)
        .expect_stderr(&["--output"]);
    // Without --output it lies in the current folder, as that of `wasmtime compile` does.
    let elsewhere = tempfile::tempdir().unwrap();
    let module = folder.path().join("a.wat");
    std::fs::copy(Guest::wat("hello").path(), &module).unwrap();
    program()
        .arg("compile")
        .arg(&module)
        .in_folder(elsewhere.path())
        .run()
        .expect_code(0);
    let names: Vec<_> = std::fs::read_dir(elsewhere.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a.cwasm"]);
    // What is no file is written to, not replaced.
    let run = program()
        .args("compile -o /dev/null")
        .arg(&module)
        .run()
        .expect_code(0);
    assert_eq!(run.stderr, "");
    assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    program()
        .args("compile -o no/such/folder/a.cwasm")
        .arg(&module)
        .run()
        .expect_code(1)
        .expect_stderr(&["cannot write `no/such/folder/a.cwasm`"]);
}

/// A compiled module that lost its end, or was given more, ran without its start function.
#[test]
fn a_compiled_module_with_another_end_is_not_run() {
    // Traps unless its start function ran.
    let text = r#"(module (global $ran (mut i32) (i32.const 0)) (func $go (global.set $ran (i32.const 1))) (start $go)
                   (func (export "_start") (if (i32.eqz (global.get $ran)) (then unreachable))))"#;
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.cwasm");
    program()
        .args("compile - -o")
        .arg(&out)
        .input(Input::Bytes(text.into()))
        .run()
        .expect_code(0);
    let whole = std::fs::read(&out).unwrap();
    let run = |bytes: &[u8]| {
        std::fs::write(&out, bytes).unwrap();
        let of_file = program().args("--allow-precompiled").arg(&out).run();
        let of_stdin = program()
            .args("--allow-precompiled -")
            .input(Input::Bytes(bytes.to_vec()))
            .run();
        assert_eq!(of_file.code(), of_stdin.code());
        of_file
    };
    run(&whole).expect_code(0);
    for cut in 1..=40 {
        run(&whole[..whole.len() - cut])
            .expect_code(1)
            .expect_stderr(&["cannot be loaded"]);
    }
    let longer = [&*whole, b"\n"].concat();
    run(&longer)
        .expect_code(1)
        .expect_stderr(&["cannot be loaded", "something was added"]);
    let mut later = whole.clone();
    let at = later.len() - 3;
    later[at] = b'9';
    run(&later)
        .expect_code(1)
        .expect_stderr(&["cannot be loaded", "another version of this program"]);
}

/// What `inspect` says is missing, and nothing else, keeps a module from being run.
#[test]
fn inspect_and_run_agree() {
    let p1 = "wasi_snapshot_preview1";
    for (text, fits) in [
        (r#"(module (func (export "_start")))"#.to_owned(), true),
        (r#"(module (import "env" "nope" (func)) (func (export "_start")))"#.to_owned(), false),
        (r#"(module (import "env" "nope" (global i32)) (func (export "_start")))"#.to_owned(), false),
        (
            format!(
                r#"(module (import "{p1}" "no_such" (func)) (memory (export "memory") 1) (func (export "_start")))"#
            ),
            false,
        ),
        (
            format!(
                r#"(module (import "{p1}" "sched_yield" (func)) (memory (export "memory") 1) (func (export "_start")))"#
            ),
            false,
        ),
        (
            format!(
                r#"(module (import "{p1}" "sched_yield" (func (result i32))) (memory (export "memory") 1)
                    (func (export "_start")))"#
            ),
            true,
        ),
        (
            r#"(module (import "wasi_unstable" "sched_yield" (func (result i32))) (memory (export "memory") 1)
                (func (export "_start")))"#
                .to_owned(),
            true,
        ),
        (r#"(module (func (export "_start") (param i32)))"#.to_owned(), false),
        (
            r#"(module (import "wasi" "thread-spawn" (func (param i32 i32) (result i32)))
                (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
                (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
                .to_owned(),
            false,
        ),
        (r#"(module)"#.to_owned(), false),
    ] {
        let status = |args: &str| {
            program()
                .args(args)
                .input(Input::Bytes(text.clone().into_bytes()))
                .run()
                .code()
        };
        let inspected = status("inspect -");
        assert_eq!(inspected, i32::from(!fits), "{text}");
        assert_eq!(status("-") == 0, fits, "{text}");
    }
}

/// A reader of the output that goes away is no panic.
#[test]
fn a_closed_pipe_is_no_panic() {
    for stderr in ["", " 2>&-"] {
        let shell = format!("\"$0\" completion bash{stderr} | true; exit \"${{PIPESTATUS[0]}}\"");
        let output = std::process::Command::new("bash")
            .arg("-c")
            .arg(shell)
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    // Printed by a library while options are read; as other tools do, by the signal.
    let output = std::process::Command::new("bash")
        .args(["-c", "\"$0\" -W help | true; exit \"${PIPESTATUS[0]}\""])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .output()
        .unwrap();
    assert!(
        [Some(0), Some(141)].contains(&output.status.code()) && output.stderr.is_empty(),
        "{output:?}"
    );
    let output = std::process::Command::new("bash")
        .args(["-c", "exec 2>&-; \"$0\" nowhere.wasm"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}
