//! Compiling: how long it may seem to take, the cache, and code compiled before.

use crate::program;
use integration_tests::{Guest, Program};

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

/// A file of `wasmtime compile`, whose engine looks for no interrupts and keeps no lines for backtraces, did not load.
#[test]
fn precompiled_by_wasmtime() {
    use wasmtime::{Config, Engine};
    let mut config = Config::new();
    config.shared_memory(true);
    let engine = Engine::new(&config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let run = |guest: &Guest, options: &str, args: &str| {
        let wasm = wat::parse_file(guest.path()).unwrap();
        let path = folder.path().join("module.cwasm");
        std::fs::write(&path, engine.precompile_module(&wasm).unwrap()).unwrap();
        program()
            .args("--allow-precompiled")
            .args(options)
            .arg(path)
            .args(args)
            .run()
    };
    let hello = run(&Guest::wat("hello"), "", "").expect_code(0);
    assert_eq!(hello.stdout, "hello, world\n");
    run(&Guest::c("spawns"), "", "once 8").expect_code(0);
    run(&Guest::c("ending"), "", "exit wait").expect_code(7);
    // What the command line asks for is not given up.
    for (options, help) in [
        ("-W epoch-interruption=y", "same options"),
        ("--timeout 9s", "a timeout needs that"),
    ] {
        run(&Guest::wat("hello"), options, "")
            .expect_code(1)
            .expect_stderr(&["cannot be loaded", "epoch", help]);
    }
}

/// A configuration of the cache that makes no sense was ignored without a word, and the cache with it.
#[test]
fn a_broken_configuration_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("wasmtime");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("config.toml"), "garbage = [").unwrap();
    let run = |options: &str| {
        program()
            .args(options)
            .env("XDG_CONFIG_HOME", folder.path())
            .guest(&Guest::wat("hello"))
            .run()
    };
    run("").expect_code(2).expect_stderr(&["config.toml"]);
    run("-C cache=n").expect_code(0);
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
