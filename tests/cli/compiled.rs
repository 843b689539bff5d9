//! Compiling: how long it may seem to take, and the cache.

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

/// A file that configures the cache, and is wrong, is told, and not taken for a home that cannot be written.
#[test]
fn a_broken_cache_configuration_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("wasmtime")).unwrap();
    std::fs::write(folder.path().join("wasmtime/config.toml"), "garbage = [").unwrap();
    let run = |options: &str| {
        program()
            .args(options)
            .env("XDG_CONFIG_HOME", folder.path())
            .guest(&Guest::wat("hello"))
            .run()
    };
    for options in ["", "-C cache=y"] {
        run(options)
            .expect_code(2)
            .expect_stderr(&["failed to parse config file", "wasmtime/config.toml"]);
    }
    run("-C cache=n").expect_code(0);
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
