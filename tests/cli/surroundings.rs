//! What the binary is started with and without: arguments, environment, `/proc`, a home, standard
//! streams.
#![cfg(target_os = "linux")]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command, Output};

use integration_tests::Guest;
use integration_tests::emulated::left_out;

/// Returns two errnos, how many arguments or variables there are, and their bytes.
const STRINGS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env_sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $env (param i32 i32) (result i32)))
    (memory (export "memory") 200)
    (func (export "args") (result i32 i32 i32 i32)
      (call $args_sizes (i32.const 0) (i32.const 4)) (call $args (i32.const 16) (i32.const 6000000))
      (i32.load (i32.const 0)) (i32.load (i32.const 4)))
    (func (export "env") (result i32 i32 i32 i32)
      (call $env_sizes (i32.const 0) (i32.const 4)) (call $env (i32.const 16) (i32.const 6000000))
      (i32.load (i32.const 0)) (i32.load (i32.const 4))))"#;

/// A folder with the module in it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wat"), STRINGS).unwrap();
    folder
}

fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasi-threads-run"));
    command.args(["-C", "cache=n"]).current_dir(folder);
    command
}

/// What stdout is, of a run that says nothing on stderr.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What stderr is, of a run that is refused.
#[track_caller]
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The most that Linux takes as one string, but for its end.
const LONGEST: usize = 128 * 1024 - 1;

#[test]
fn arguments_of_all_sizes() {
    let folder = folder();
    let args = |args: &mut dyn Iterator<Item = String>| {
        let args: Vec<String> = args.collect();
        let bytes: usize = args.iter().map(|arg| arg.len() + 1).sum();
        let run = printed(
            command(folder.path())
                .args(["--invoke", "args", "m.wat"])
                .args(&args),
        );
        // The module's own name comes first.
        assert_eq!(
            run,
            format!("0\n0\n{}\n{}\n", args.len() + 1, bytes + "m.wat".len() + 1)
        );
    };
    args(&mut std::iter::empty());
    args(&mut std::iter::once(String::new()));
    // 1 MB.
    args(&mut (0..8).map(|_| "a".repeat(LONGEST)));
    args(&mut (0..100_000).map(|number| number.to_string()));
    assert_eq!(
        refused(
            command(folder.path())
                .arg("m.wat")
                .arg(OsStr::from_bytes(b"\xff"))
        ),
        "error: the argument \"\\xFF\" is not UTF-8\n  why: WASI's strings are UTF-8\n"
    );
}

/// 100,000 of them once took a time that grew with the square of their number.
#[test]
fn environments_of_all_sizes() {
    if left_out("it finds its libraries by a variable of the environment") {
        return;
    }
    let folder = folder();
    let env = |vars: &mut dyn Iterator<Item = (String, String)>| {
        let vars: Vec<(String, String)> = vars.collect();
        let bytes: usize = vars
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        let mut command = command(folder.path());
        command.env_clear().envs(vars.iter().cloned());
        let run = printed(command.args(["-S", "inherit-env", "--invoke", "env", "m.wat"]));
        assert_eq!(run, format!("0\n0\n{}\n{bytes}\n", vars.len()));
    };
    let var = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    env(&mut std::iter::empty());
    env(&mut [var("EMPTY", ""), var("A", "b")].into_iter());
    // 1 MB.
    env(&mut (0..8).map(|number| var(&number.to_string(), &"a".repeat(LONGEST - 2))));
    env(&mut (0..100_000).map(|number| var(&format!("V{number}"), "x")));
}

/// Which one it is was not said of options.
#[test]
fn what_is_not_utf8_is_named() {
    let folder = folder();
    let bad = |prefix: &str| {
        let mut bad = OsString::from(prefix);
        bad.push(OsStr::from_bytes(b"\xff"));
        bad
    };
    for (option, value, shown) in [
        ("--env", bad("A="), "A=\\xFF"),
        ("--dir", bad("folder"), "folder\\xFF"),
        ("--argv0", bad("name"), "name\\xFF"),
        ("--invoke", bad(""), "\\xFF"),
        ("-W", bad("timeout="), "timeout=\\xFF"),
    ] {
        assert_eq!(
            refused(command(folder.path()).arg(option).arg(value).arg("m.wat")),
            format!(
                "error: the argument \"{shown}\" is not UTF-8\n  \
                 why: WASI's strings are UTF-8, and so are names of options\n  \
                 help: for a folder, give a link to it whose name is UTF-8\n"
            )
        );
    }
    for options in [&["-S", "inherit-env"][..], &["--env", "BAD"]] {
        let mut command = command(folder.path());
        command.env_clear().env("BAD", bad("")).args(options);
        // An emulator's own: where the libraries are.
        command.envs(std::env::vars().filter(|(name, _)| name == "QEMU_LD_PREFIX"));
        assert_eq!(
            refused(command.arg("m.wat")),
            "error: the environment variable `BAD` cannot be passed on\n  \
             why: its name or value is not UTF-8, and WASI's strings are\n  \
             help: set it with --env NAME=VALUE, or pass variables one by one\n"
        );
    }
    // Names of files may be anything.
    let name = bad("m");
    std::fs::copy(folder.path().join("m.wat"), folder.path().join(&name)).unwrap();
    let run = printed(
        command(folder.path())
            .args(["--argv0", "m", "--invoke", "args", "--trace"])
            .arg(bad("trace"))
            .arg(&name),
    );
    assert_eq!(run, "0\n0\n1\n2\n");
    assert!(folder.path().join(bad("trace")).is_file());
}

/// Runs a line of bash in a mount namespace of its own, in which `$0` is the binary; `None` where
/// there can be none.
fn with_mounts(folder: &Path, line: &str) -> Option<Output> {
    let namespace = ["-m", "-rm"].into_iter().find(|options| {
        let tried = Command::new("unshare").args([options, "true"]).output();
        tried.is_ok_and(|tried| tried.status.success())
    });
    let Some(namespace) = namespace else {
        println!("no mount namespaces here: left out");
        return None;
    };
    let output = Command::new("unshare")
        .args([namespace, "bash", "-c", line])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .current_dir(folder)
        .output();
    Some(output.unwrap())
}

/// What the binary reads there, it can do without.
#[test]
fn without_proc() {
    let folder = folder();
    for (name, guest) in [
        ("spawns.wasm", Guest::c("spawns")),
        ("ending.wasm", Guest::c("ending")),
        ("hello.wat", Guest::wat("hello")),
    ] {
        std::fs::copy(guest.path(), folder.path().join(name)).unwrap();
    }
    for (line, status, stdout, stderr) in [
        ("\"$0\" hello.wat", 0, "hello, world\n", ""),
        ("\"$0\" --dir . hello.wat", 0, "hello, world\n", ""),
        (
            "\"$0\" --stats spawns.wasm once 50",
            0,
            "once 50: ok\n",
            "threads  50 started",
        ),
        ("\"$0\" ending.wasm exit spin", 7, "", ""),
        (
            "\"$0\" ending.wasm trap wait",
            134,
            "",
            "thread 1 of `ending.wasm` trapped",
        ),
        (
            "\"$0\" --timeout 200ms ending.wasm stay spin",
            134,
            "",
            "timed out",
        ),
        (
            "\"$0\" compile -o /dev/stdout hello.wat > a.cwasm && \"$0\" --allow-precompiled a.cwasm",
            0,
            "hello, world\n",
            "",
        ),
        (
            "\"$0\" --trace t.json hello.wat && grep -c fd_write t.json",
            0,
            "hello, world\n1\n",
            "",
        ),
        // Ignored from the start, a signal stays ignored.
        (
            "trap '' TERM; \"$0\" --timeout 700ms ending.wasm stay spin & sleep 0.3; kill $!; wait $!",
            134,
            "",
            "timed out",
        ),
        (
            "\"$0\" --trace /dev/fd/2 hello.wat",
            0,
            "hello, world\n",
            "fd_write",
        ),
        (
            "\"$0\" -D coredump=core ending.wasm trap wait; test -s core",
            0,
            "",
            "note: the core dump is in `core`",
        ),
    ] {
        let line = format!(
            "mount -t tmpfs none /proc && test ! -e /proc/self && export XDG_CACHE_HOME=$PWD/cache && {line}"
        );
        let Some(run) = with_mounts(folder.path(), &line) else {
            return;
        };
        assert_eq!(run.status.code(), Some(status), "{line}: {run:?}");
        let (out, err) = (
            String::from_utf8_lossy(&run.stdout),
            String::from_utf8_lossy(&run.stderr),
        );
        assert!(out.contains(stdout), "{line}: {run:?}");
        assert!(err.contains(stderr), "{line}: {run:?}");
        assert!(!stderr.is_empty() || err.is_empty(), "{line}: {run:?}");
    }
}

#[test]
fn with_a_home_that_cannot_be_written() {
    let folder = folder();
    std::fs::copy(Guest::wat("hello").path(), folder.path().join("hello.wat")).unwrap();
    let home = "unset XDG_CACHE_HOME XDG_CONFIG_HOME; mkdir -p home && mount -t tmpfs -o ro none home && export HOME=$PWD/home";
    let Some(run) = with_mounts(folder.path(), &format!("{home}; \"$0\" hello.wat")) else {
        return;
    };
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert_eq!(
        (&*run.stdout, &*run.stderr),
        (&b"hello, world\n"[..], &b""[..])
    );
    for (line, status, said) in [
        // Asked for, it is missed.
        ("\"$0\" -C cache hello.wat", 2, "Read-only file system"),
        (
            "cd home && \"$0\" compile ../hello.wat",
            1,
            "error: cannot write `hello.cwasm`\n  why: Read-only file system",
        ),
        (
            "cd home && \"$0\" --trace t.json ../hello.wat",
            1,
            "error: the trace `t.json` cannot be written\n  why: Read-only file system",
        ),
    ] {
        let line = format!("{home}; {line}");
        let Some(run) = with_mounts(folder.path(), &line) else {
            return;
        };
        assert_eq!(run.status.code(), Some(status), "{line}: {run:?}");
        let stderr = String::from_utf8_lossy(&run.stderr);
        assert!(stderr.contains(said), "{line}: {run:?}");
    }
}

/// None of them becomes a folder of the program's, or a file of the binary's.
#[test]
fn without_standard_streams() {
    let folder = folder();
    std::fs::copy(Guest::wat("hello").path(), folder.path().join("hello.wat")).unwrap();
    for closed in 0..8 {
        let streams: String = (0..3)
            .filter(|stream| closed & (1 << stream) != 0)
            .map(|stream| format!(" {stream}>&-"))
            .collect();
        let line = format!("\"$0\" -C cache=n --dir . --trace t.json hello.wat{streams}");
        let run = Command::new("bash")
            .args(["-c", &line])
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(0), "{streams}: {run:?}");
        let stdout: &[u8] = if closed & 2 == 0 {
            b"hello, world\n"
        } else {
            b""
        };
        assert_eq!(run.stdout, stdout, "{streams}: {run:?}");
        assert_eq!(run.stderr, b"", "{streams}: {run:?}");
        let trace = std::fs::read(folder.path().join("t.json")).unwrap();
        assert!(
            trace.ends_with(b"\n]}\n") && !trace.starts_with(b"hello"),
            "{streams}"
        );
    }
    if left_out("its own descriptor is 0 where stdin is closed") {
        return;
    }
    let run = Command::new("bash")
        .args(["-c", "\"$0\" - <&-"])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert_eq!(
        String::from_utf8_lossy(&run.stderr),
        "error: cannot read stdin\n  why: it is closed\n"
    );
}

/// The program gets the error, and its own status says what it makes of it. Outputs that the run
/// was asked for fail.
#[test]
fn stdout_on_a_full_disk() {
    let folder = folder();
    let errno = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 16) "text")
        (func (export "_start")
          (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 4))
          (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    std::fs::write(folder.path().join("errno.wat"), errno).unwrap();
    for (what, status) in [("errno.wat", 51), ("--invoke args m.wat", 1)] {
        let run = Command::new("bash")
            .args(["-c", &format!("\"$0\" -C cache=n {what} > /dev/full")])
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(status), "{what}: {run:?}");
        let said = match status {
            1 => "error: stdout cannot be written\n  why: No space left on device (os error 28)\n",
            _ => "",
        };
        assert_eq!(String::from_utf8_lossy(&run.stderr), said);
    }
}

/// No code can be mapped from it, so the file is read.
#[test]
fn a_compiled_file_where_nothing_may_be_executed() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("noexec")).unwrap();
    std::fs::copy(Guest::wat("hello").path(), folder.path().join("hello.wat")).unwrap();
    let line = "mount -t tmpfs -o noexec none noexec && \"$0\" compile -o noexec/a.cwasm hello.wat \
                && \"$0\" --allow-precompiled noexec/a.cwasm";
    let Some(run) = with_mounts(folder.path(), line) else {
        return;
    };
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    assert_eq!(String::from_utf8_lossy(&run.stdout), "hello, world\n");
    assert!(run.stderr.is_empty(), "{run:?}");
}
