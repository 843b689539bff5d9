//! Options do what they say.

use crate::program;
use integration_tests::{Guest, Input, Program};

fn args_env() -> Guest {
    Guest::wat("args_env")
}

/// What the guest `args_env` says it was given.
#[track_caller]
fn given(program: Program) -> Vec<String> {
    let run = program.run().expect_code(0);
    run.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn arguments() {
    for before in [
        "",
        "run",
        "run --",
        "--",
        "-S threads --",
        "run -W shared-memory=y",
    ] {
        let run = program()
            .args(before)
            .guest(&args_env())
            .args("one --two -S three -- -");
        assert_eq!(
            given(run),
            ["args_env.wat", "one", "--two", "-S", "three", "--", "-"],
            "{before}"
        );
    }
    let run = program()
        .args("--argv0 tool")
        .guest(&args_env())
        .arg("a b")
        .arg("");
    assert_eq!(given(run), ["tool", "a b", ""]);
}

/// Old command lines, with a program that needs what they ask for.
#[test]
fn old_spellings() {
    let spawns = Guest::c("spawns");
    for options in [
        "run -S threads",
        "run -S threads=y -W threads=y,shared-memory=y",
        "run -W bulk-memory=y -W threads=y -W shared-memory=y -S threads=y --",
        "run --wasi threads --wasm shared-memory --dir . --",
        "run --wasm-features=threads --wasi-modules=experimental-wasi-threads",
        "--wasm-features threads --wasi-modules experimental-wasi-threads",
        "run -S preview2=n -S threads=y",
        // one line for programs of preview1 and of preview2
        "run -S inherit-network,tcp,udp,allow-ip-name-lookup",
        // options of before Wasmtime 14
        "run --disable-logging --disable-parallel-compilation --opt-level 1 --max-wasm-stack 300000 --wasm-features=all,component-model,function-references",
        "--static-memory-maximum-size 0 --dynamic-memory-guard-size 65536 --wasi-modules=default,-experimental-wasi-nn,experimental-wasi-threads",
        "--max-memory-size 100000000 --max-instances 10 --max-tables 10 --max-memories 10 --allow-unknown-exports --epoch-interruption --disable-memory-init-cow",
        "--cranelift-set opt_level=none --cranelift-enable enable_alias_analysis --enable-cranelift-nan-canonicalization --relaxed-simd-deterministic",
    ] {
        let run = program()
            .args(options)
            .guest(&spawns)
            .args("once 4")
            .run()
            .expect_code(0);
        assert_eq!(run.stdout, "once 4: ok\n", "{options}");
        assert_eq!(run.stderr, "", "{options}");
    }
}

#[test]
fn environment() {
    let run = || program().env("FROM_HOST", "yes").env("EMPTY", "");
    assert_eq!(given(run().guest(&args_env())), ["args_env.wat"]);
    let typed =
        "--env A=1 --env FROM_HOST --env NOT_SET_ANYWHERE --env EMPTY --env B=x=y --env A=2";
    assert_eq!(
        given(run().args(typed).guest(&args_env())),
        ["args_env.wat", "A=2", "FROM_HOST=yes", "EMPTY=", "B=x=y"]
    );
    let all = given(
        run()
            .args("-S inherit-env --env FROM_HOST=no")
            .guest(&args_env()),
    );
    assert!(all.contains(&"FROM_HOST=no".to_owned()), "{all:?}");
    assert!(all.iter().any(|line| line.starts_with("PATH=")), "{all:?}");
}

#[test]
fn folders() {
    let folder = tempfile::tempdir().unwrap();
    let run = |dir: &str| {
        let dir = format!("{}{dir}", folder.path().display());
        program()
            .arg("--dir")
            .arg(dir)
            .guest(&Guest::wat("create"))
            .run()
    };
    // Read-only: EROFS or EPERM or ENOTCAPABLE, and in any case no file.
    let refused = run("::/data::ro").code();
    assert!([63, 69, 76].contains(&refused), "errno {refused}");
    assert!(!folder.path().join("made").exists());
    for dir in ["", "::/data", "::/data::rw"] {
        run(dir).expect_code(0);
        std::fs::remove_file(folder.path().join("made")).unwrap();
    }
    // Nothing is open that was not given: EBADF.
    program().guest(&Guest::wat("create")).run().expect_code(8);
}

#[test]
fn standard_streams() {
    let cat = Guest::wat("cat");
    // More than a pipe holds.
    let text = "some line\n".repeat(50_000);
    let input = || Input::Bytes(text.clone().into_bytes());
    let run = program().guest(&cat).input(input()).run().expect_code(0);
    assert_eq!(run.stdout.len(), text.len());
    assert!(run.stdout == text);
    let run = program()
        .args("-S inherit-stdin=n")
        .guest(&cat)
        .input(input())
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "");
    let run = program()
        .args("-S inherit-stdout=n")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "");
}

#[test]
fn module_on_stdin() {
    let text = std::fs::read(Guest::wat("hello").path()).unwrap();
    let wasm = std::fs::read(Guest::c("spawns").path()).unwrap();
    let run = program().on_stdin(text).run().expect_code(0);
    assert_eq!(run.stdout, "hello, world\n");
    let run = program()
        .args("- once 2")
        .input(Input::Bytes(wasm))
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "once 2: ok\n");
}

#[test]
fn what_cannot_work_is_an_error() {
    for (options, why) in [
        ("-S nn", "components"),
        ("-S cwd=/", "working directory"),
        ("--preload b.wasm", "NAME=MODULE"),
        ("-D guest-debug", "debug"),
        ("-g 1234", "store"),
        ("-D coredump=core.%p", "patterns"),
        ("-W no-such-thing", "no-such-thing"),
        ("--no-such-thing", "no-such-thing"),
        ("--dir a::b::c", "`ro` or `rw`"),
        ("--max-threads x", "x"),
    ] {
        let run = program().args(options).guest(&Guest::wat("hello")).run();
        assert_eq!(run.stdout, "", "{options}");
        run.expect_code(2).expect_stderr(&[why]);
    }
    program().run().expect_code(2);
}

/// As `wasmtime` reads them from version 50 on.
#[test]
fn options_from_environment_variables() {
    let shared = r#"(module (import "env" "memory" (memory 1 4096 shared)) (export "memory" (memory 0))
                     (func (export "_start")))"#;
    let run = |name: &str, value: &str, args: &str| {
        let program = program().env(name, value).args(args);
        program.on_stdin(shared).run()
    };
    let limit = "WASMTIME_WASM_MAX_MEMORY_SIZE";
    run(limit, "16777216", "").expect_code(1);
    run("WASMTIME_WASM", "max-memory-size=16777216", "run").expect_code(1);
    // What is typed counts.
    run(limit, "16777216", "-W max-memory-size=268435456").expect_code(0);
    run("WASMTIME_WASM_NO_SUCH_THING", "1", "").expect_code(0);
    run(limit, "much", "")
        .expect_code(2)
        .expect_stderr(&[limit, "much"]);
}

/// With epochs and without, a program ends whatever its main thread does.
#[test]
fn with_epochs_and_without() {
    let run = |epochs: &str, args: &str| {
        program()
            .args(epochs)
            .guest(&Guest::c("ending"))
            .args(args)
            .input(Input::Silent)
            .run()
    };
    for epochs in ["-W epoch-interruption=n", "-W epoch-interruption"] {
        for main in ["wait", "sleep", "read", "poll", "join", "spin"] {
            run(epochs, &format!("exit {main}")).expect_code(7);
        }
    }
}

#[test]
fn programs_from_before_preview1() {
    let guest = Guest::wat("unstable");
    let run = program().guest(&guest).run().expect_code(0);
    assert_eq!(run.stdout, "from before preview1\n");
    let run = program()
        .args("-S preview0=n")
        .guest(&guest)
        .run()
        .expect_code(1);
    assert!(run.stderr.contains("wasi_unstable"), "{}", run.stderr);
}
