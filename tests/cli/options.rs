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
    let run = program()
        .arg("-")
        .input(Input::Bytes(text))
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "hello, world\n");
    let run = program()
        .args("- once 2")
        .input(Input::Bytes(wasm))
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "once 2: ok\n");
}

#[test]
fn another_export() {
    let text = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "other") (call $exit (i32.const 3)))
        (func (export "takes") (param i32))
        (func (export "_start") (call $exit (i32.const 4))))"#;
    let run = |args: &str| {
        program()
            .args(args)
            .arg("-")
            .input(Input::Bytes(text.into()))
            .run()
    };
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
    #[cfg(unix)]
    assert_eq!(run("trap", "1").expect_code(134).stdout, "");
}

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
    let run = |options: &str| {
        program()
            .args(options)
            .arg("-")
            .input(Input::Bytes(text.into()))
            .run()
    };
    assert_eq!(run("--invoke random").expect_code(0).stdout, "0\n");
    // Not enough fuel for the path: ENOMEM (48), before anybody looks at it.
    assert_eq!(run("--dir . --invoke open").expect_code(0).stdout, "28\n");
    let little = "--dir . -S hostcall-fuel=100 --invoke open";
    assert_eq!(run(little).expect_code(0).stdout, "48\n");
    let grow = "-W max-memory-size=100000 --invoke grow";
    assert_eq!(run(grow).expect_code(0).stdout, "-1\n");
    #[cfg(unix)]
    {
        run("-S max-random-size=999 --invoke random")
            .expect_code(134)
            .expect_stderr(&["1000 bytes, the limit is 999"]);
        run(&format!("-W trap-on-grow-failure {grow}"))
            .expect_code(134)
            .expect_stderr(&["growing to 26279936 bytes of memory failed"]);
    }
    // A shared memory grows without anybody being asked.
    let shared = r#"(module (import "env" "memory" (memory 1 2 shared)) (func (export "_start")))"#;
    program()
        .args("-W trap-on-grow-failure -")
        .input(Input::Bytes(shared.into()))
        .run()
        .expect_code(2)
        .expect_stderr(&["when a shared memory grows"]);
}

/// Libraries under names, one importing from the other, and both from WASI; every thread has its own of each.
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
        let run = program()
            .arg("-")
            .input(Input::Bytes(module(memories, random_in).into_bytes()))
            .run();
        assert_eq!(run.code(), 0, "{what}: {run}");
    }
}

/// No folder for the cache is no reason not to run: in a container, for a service's user.
#[test]
#[cfg(target_os = "linux")]
fn without_a_cache_folder() {
    use std::os::unix::fs::PermissionsExt as _;
    for home in ["/dev/null", "/proc/nowhere"] {
        let run = program()
            .env("XDG_CACHE_HOME", format!("{home}/cache"))
            .env("XDG_CONFIG_HOME", format!("{home}/config"))
            .env("HOME", home)
            .guest(&Guest::wat("hello"))
            .run()
            .expect_code(0);
        assert_eq!(
            (&*run.stdout, &*run.stderr),
            ("hello, world\n", ""),
            "{home}"
        );
    }
    // Asked for, it is an error.
    program()
        .args("-C cache=y")
        .env("XDG_CACHE_HOME", "/dev/null/cache")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(2)
        .expect_stderr(&["error: "]);
    // A folder that is there and cannot be written: root can write everywhere, so by another user's hand.
    let folder = tempfile::tempdir().unwrap();
    let allow = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let place = folder.path();
    std::fs::copy(env!("CARGO_BIN_EXE_wasi-threads-run"), place.join("run")).unwrap();
    std::fs::copy(Guest::wat("hello").path(), place.join("hello.wat")).unwrap();
    std::fs::create_dir_all(place.join("cache/wasmtime")).unwrap();
    for closed in ["cache/wasmtime", "cache", "."] {
        allow(&place.join(closed), 0o555);
    }
    let as_nobody = std::fs::write(place.join("probe"), "").is_ok();
    let run = match as_nobody {
        true => Program::new("setpriv")
            .args("--reuid=65534 --regid=65534 --clear-groups --")
            .arg(place.join("run")),
        false => Program::new(place.join("run")),
    };
    let run = run
        .env("XDG_CACHE_HOME", place.join("cache"))
        .env("HOME", "/nonexistent")
        .arg(place.join("hello.wat"))
        .run();
    // So that it can be removed.
    for open in [".", "cache", "cache/wasmtime"] {
        allow(&place.join(open), 0o755);
    }
    let run = run.expect_code(0);
    assert_eq!(run.stdout, "hello, world\n", "{run}");
}

/// What is written to a pipe that nobody reads any more ends the program, as it does other tools (141 is SIGPIPE).
#[test]
#[cfg(unix)]
fn a_closed_pipe_ends_the_program() {
    let forever = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 100) "yes\0a")
        (func (export "_start")
          (i32.store (i32.const 0) (i32.const 100))
          (i32.store (i32.const 4) (i32.const 4))
          (loop (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))) (br 0))))"#;
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("yes.wat");
    std::fs::write(&module, forever).unwrap();
    let line = "\"$0\" --timeout 20s \"$1\" | head -n 1; exit ${PIPESTATUS[0]}";
    let run = Program::new("bash")
        .arg("-c")
        .arg(line)
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg(&module)
        .run()
        .expect_code(141);
    assert_eq!((&*run.stdout, &*run.stderr), ("yes\n", ""));
}

#[test]
fn memory_limits() {
    // 256 MiB may be declared, 16 MiB are allowed.
    let shared = r#"(module (import "env" "memory" (memory 1 4096 shared)) (export "memory" (memory 0))
                     (func (export "_start")))"#;
    let run = |args: &str, text: &str| {
        program()
            .args(args)
            .arg("-")
            .input(Input::Bytes(text.into()))
            .run()
    };
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

#[test]
#[cfg(unix)]
fn fuel() {
    let spin = r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#;
    program()
        .args("-W fuel=100000")
        .arg("-")
        .input(Input::Bytes(spin.into()))
        .run()
        .expect_code(134)
        .expect_stderr(&["fuel"]);
    program()
        .args("-W fuel=100000")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
}

#[test]
fn what_cannot_work_is_an_error() {
    for (options, why) in [
        ("-S nn", "components"),
        ("-S inherit-network", "preview1"),
        ("-S cwd=/", "working directory"),
        ("--profile guest", "store"),
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

/// On a terminal a long compilation shows signs of life, and leaves no trace of them;
/// elsewhere it is silent.
#[test]
#[cfg(target_os = "linux")]
fn progress() {
    // Long enough for any machine: a thousand functions of a hundred additions.
    let adds = "i64.const 7 i64.add local.get 0 i64.mul ".repeat(100);
    let function = format!("(func (param i64) (result i64) local.get 0 {adds})");
    let text = format!(
        "(module {} (func (export \"_start\")))",
        function.repeat(1500)
    );
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("large.wat");
    std::fs::write(&module, text).unwrap();
    let line = format!(
        "{} -C cache=n,parallel-compilation=n {}",
        env!("CARGO_BIN_EXE_wasi-threads-run"),
        module.display()
    );
    // script(1), of util-linux, runs a command on a terminal of its own.
    let shown = Program::new("script")
        .args("--quiet --return --command")
        .arg(&line)
        .arg("/dev/null")
        .run()
        .expect_code(0)
        .stdout;
    assert!(
        shown.contains("compiling `") && shown.contains(" MiB): 0."),
        "{shown:?}"
    );
    assert!(shown.ends_with("\r\u{1b}[K"), "{shown:?}");
    let silent = program()
        .args("-C cache=n")
        .arg(&module)
        .run()
        .expect_code(0);
    assert_eq!(silent.stderr, "");
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
    let run = |args: &str| {
        program()
            .args(args)
            .arg("-")
            .input(Input::Bytes(text.into()))
            .run()
    };
    run("").expect_code(0);
    run("--invoke tell").expect_code(5);
    run("--invoke quiet --stats")
        .expect_code(0)
        .expect_stderr(&["threads  0 started"]);
    run("--invoke nowhere")
        .expect_code(1)
        .expect_stderr(&["tell, quiet"]);
    #[cfg(unix)]
    run("--invoke trap")
        .expect_code(134)
        .expect_stderr(&["unreachable"]);
}

/// Code compiled before runs if it is vouched for, threads included: they end by
/// another way than those of modules compiled here.
#[test]
fn precompiled() {
    use wasmtime::{Config, Engine, WasmBacktraceDetails};
    let mut config = Config::new();
    config
        .shared_memory(true)
        .epoch_interruption(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable);
    let engine = Engine::new(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let compiled = |guest: &Guest| {
        let wasm = wat::parse_file(guest.path()).unwrap();
        let path = folder.path().join("module.cwasm");
        std::fs::write(&path, engine.precompile_module(&wasm).unwrap()).unwrap();
        path
    };
    let run = |guest: &Guest, options: &str, args: &str| {
        program()
            .args(options)
            .arg(compiled(guest))
            .args(args)
            .run()
    };
    let allow = "--allow-precompiled";
    run(&Guest::wat("hello"), "", "")
        .expect_code(1)
        .expect_stderr(&[allow]);
    let hello = run(&Guest::wat("hello"), allow, "").expect_code(0);
    assert_eq!(hello.stdout, "hello, world\n");
    let spawns = run(&Guest::c("spawns"), allow, "once 8").expect_code(0);
    assert_eq!(spawns.stdout, "once 8: ok\n");
    run(&Guest::c("ending"), allow, "exit spin").expect_code(7);
    run(&Guest::c("ending"), allow, "exit wait").expect_code(7);
    run(
        &Guest::wat("hello"),
        "--allow-precompiled -W epoch-interruption=n",
        "",
    )
    .expect_code(1)
    .expect_stderr(&["cannot be loaded", "epoch"]);
}

/// Without epochs a program runs, and one that waits or blocks still ends.
#[test]
fn no_epochs() {
    let run = |args: &str| {
        program()
            .args("-W epoch-interruption=n")
            .guest(&Guest::c("ending"))
            .args(args)
            .input(Input::Silent)
            .run()
    };
    for main in ["wait", "sleep", "read", "poll", "join"] {
        run(&format!("exit {main}")).expect_code(7);
    }
}

/// A compiled module is kept, and used the next time.
#[test]
fn cache() {
    let folder = tempfile::tempdir().unwrap();
    let run = || {
        program()
            .env("XDG_CACHE_HOME", folder.path())
            .guest(&Guest::wat("hello"))
            .run()
            .expect_code(0);
        let mut entries: Vec<_> = std::fs::read_dir(folder.path().join("wasmtime/modules"))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        entries.sort();
        entries
    };
    let first = run();
    assert!(!first.is_empty(), "nothing was kept");
    assert_eq!(run(), first);
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
