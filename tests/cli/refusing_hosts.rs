//! Some hosts refuse what others give, and some programs have used up what a host gives. The binary
//! then works without it, or prints one message about the refusal.
#![cfg(target_os = "linux")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::{EXIT_7, program};
use integration_tests::emulated::left_out;
use integration_tests::seccomp::{CLONE, EVENTFD, PIPE, SIGALTSTACK};

/// Prints `x`, sleeps for half a second, opens its folder again and again until that is refused,
/// and sleeps again. Ends with 7 if the opening is refused with `mfile`, and the sleeps are not
/// refused.
const OPENS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "x\n.")
    (data (i32.const 16) "\00\00\00\00\02\00\00\00")
    ;; 0.5 s on the monotonic clock.
    (data (i32.const 80) "\01\00\00\00")
    (data (i32.const 88) "\00\65\cd\1d")
    (func $sleep (result i32)
      (call $poll (i32.const 64) (i32.const 128) (i32.const 1) (i32.const 32)))
    (func (export "_start") (local $errno i32)
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 32)))
      (if (call $sleep) (then (call $exit (i32.const 1))))
      (loop $again
        (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 2) (i32.const 1) (i32.const 2)
          (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 32)))
        (br_if $again (i32.eqz (local.get $errno))))
      (if (call $sleep) (then (call $exit (i32.const 2))))
      (if (i32.eq (local.get $errno) (i32.const 33)) (then (call $exit (i32.const 7))))
      (call $exit (local.get $errno))))"#;

/// The same without the first sleep: the one that is looked at is the first wait.
fn opens_only() -> String {
    let first = "(if (call $sleep) (then (call $exit (i32.const 1))))";
    assert!(OPENS.contains(first));
    OPENS.replace(first, "")
}

/// A command of a shell in a folder with [`OPENS`] and [`EXIT_7`], in which `"$0"` is the binary.
fn shell(folder: &Path, line: &str) -> Output {
    std::fs::write(folder.join("sleeps_opens.wat"), OPENS).unwrap();
    std::fs::write(folder.join("opens.wat"), opens_only()).unwrap();
    std::fs::write(folder.join("exit.wat"), EXIT_7).unwrap();
    let output = Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_wasi-threads-run")])
        .current_dir(folder)
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .env("XDG_CONFIG_HOME", folder.join("config"))
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    integration_tests::recorded(line, output)
}

#[track_caller]
fn ended(output: &Output, code: i32, said: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert!(stderr.contains(said), "{output:?}");
    assert!(!said.is_empty() || stderr.is_empty(), "{output:?}");
    assert!(!stderr.contains("panicked"), "{output:?}");
}

#[test]
fn a_program_that_has_used_up_the_descriptors_sleeps() {
    let folder = tempfile::tempdir().unwrap();
    ended(
        &shell(folder.path(), "ulimit -n 30; exec \"$0\" --dir . opens.wat"),
        7,
        "",
    );
    let limited = "exec \"$0\" -S max-resources=20 --dir . opens.wat";
    ended(&shell(folder.path(), limited), 7, "");
}

#[test]
fn without_event_descriptors_and_pipes() {
    if left_out("it has no filters of system calls") {
        return;
    }
    for calls in [&[EVENTFD][..], &[EVENTFD, PIPE]] {
        let finished = program()
            .args("-S max-resources=20 --dir .")
            .on_stdin(opens_only())
            .refused(calls, libc::EPERM)
            .run();
        assert_eq!(finished.expect_code(7).stderr, "", "{calls:?}");
    }
}

#[test]
fn without_threads_one_message_says_so() {
    if left_out("it has no filters of system calls") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for errno in [libc::EPERM, libc::EAGAIN] {
        for options in ["", "-C cache=n"] {
            let finished = program()
                .args(options)
                .env("XDG_CACHE_HOME", folder.path())
                .on_stdin(EXIT_7)
                .refused(&CLONE, errno)
                .run()
                .expect_code(1)
                .expect_stderr(&["the host could not start a thread", "clone3"]);
            assert!(!finished.stderr.contains("panicked"), "{finished}");
        }
    }
}

/// The pool in which Wasmtime compiles is refused some of its threads.
#[test]
fn with_too_few_threads_to_compile_in_a_pool() {
    if left_out("the emulator has a thread of its own") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A user without any other process, even if these tests run twice at once. The superuser has no
    // such limit.
    let id = 100_000 + std::process::id();
    let as_nobody = |threads: u32, options: &str| {
        let user = format!("setpriv --reuid={id} --regid={id} --clear-groups");
        let line = format!("exec prlimit --nproc={threads} {user} \"$0\" {options}");
        shell(
            folder.path(),
            &format!("export RAYON_NUM_THREADS=64; {line}"),
        )
    };
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let can = as_nobody(8, "--version");
    if !can.status.success() {
        println!("this machine lets nobody else run the binary: left out: {can:?}");
        return;
    }
    ended(&as_nobody(8, "-C cache=n exit.wat"), 7, "");
    ended(&as_nobody(1, "-C cache=n exit.wat"), 1, "ulimit -u");
}

#[test]
fn without_signal_stacks() {
    if left_out("it has no filters of system calls") {
        return;
    }
    let finished = program()
        .on_stdin(EXIT_7)
        .refused(&[SIGALTSTACK], libc::EPERM)
        .run()
        .expect_code(1)
        .expect_stderr(&["sigaltstack", "Operation not permitted"]);
    assert!(!finished.stderr.contains("panicked"), "{finished}");
}

/// What the cache would have is larger than a file may be.
#[test]
fn with_a_limit_on_the_size_of_files() {
    if left_out("the emulator writes files, too") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    ended(
        &shell(folder.path(), "ulimit -f 1; exec \"$0\" exit.wat"),
        7,
        "",
    );
    // The program is told of it, and not ended.
    let writes = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_pwrite" (func $write (param i32 i32 i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "file")
        (data (i32.const 16) "\00\00\00\00\04\00\00\00")
        (func (export "_start")
          (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 1)
              (i64.const 0x46) (i64.const 0x46) (i32.const 0) (i32.const 32)) (then (call $exit (i32.const 1))))
          (call $exit (call $write (i32.load (i32.const 32)) (i32.const 16) (i32.const 1)
            (i64.const 1000000) (i32.const 40)))))"#;
    std::fs::write(folder.path().join("writes.wat"), writes).unwrap();
    // `fbig`
    let line = "ulimit -f 1000; exec \"$0\" --dir . writes.wat";
    ended(&shell(folder.path(), line), 22, "");
    // What a memory begins with is a file for Wasmtime.
    let line = "ulimit -f 1; exec \"$0\" --dir . writes.wat";
    ended(&shell(folder.path(), line), 1, "-O memory-init-cow=n");
    let line = "ulimit -f 1; exec \"$0\" -O memory-init-cow=n --dir . writes.wat";
    ended(&shell(folder.path(), line), 22, "");
}

#[test]
fn with_an_odd_home() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for home in [
        "relative",
        "",
        "file",
        "/dev/null",
        "/proc/self/fd",
        "..",
        "$PWD/file",
    ] {
        let line =
            format!("unset XDG_CACHE_HOME XDG_CONFIG_HOME; HOME={home} exec \"$0\" exit.wat");
        ended(&shell(folder.path(), &line), 7, "");
    }
    // A configuration in its place that cannot be read; and one that is wrong, which is said.
    let config = "mkdir -p config/wasmtime && cd config/wasmtime";
    let unreadable = format!("({config} && mkdir -p config.toml); exec \"$0\" exit.wat");
    ended(&shell(folder.path(), &unreadable), 7, "");
    let wrong = format!(
        "({config} && rmdir config.toml && echo '[cache]\ndirectory = \"x\"' > config.toml); exec \"$0\" exit.wat"
    );
    ended(&shell(folder.path(), &wrong), 2, "has to be absolute");
}

/// To read a FIFO waits for its other side.
#[test]
fn a_fifo_in_the_place_of_a_cached_module() {
    let folder = tempfile::tempdir().unwrap();
    ended(&shell(folder.path(), "exec \"$0\" exit.wat"), 7, "");
    let replace = "for entry in $(find cache -path '*/wasi-threads-run-*' -type f ! -name '*.*'); do \
                   rm \"$entry\" && mkfifo \"$entry\" && echo fifo; done; exec timeout 20 \"$0\" exit.wat";
    let output = shell(folder.path(), replace);
    ended(&output, 7, "");
    assert_eq!(output.stdout, b"fifo\n", "entries");
}

/// A file that others may write is read: one that is mapped and then cut short is a fault at its
/// next page.
#[test]
fn compiled_code_that_others_may_write_is_not_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let code = folder.path().join("opens.cwasm");
    ended(
        &shell(folder.path(), "exec \"$0\" compile opens.wat"),
        0,
        "",
    );
    for mode in [0o666, 0o664] {
        std::fs::copy(&code, folder.path().join("copy.cwasm")).unwrap();
        let copy = folder.path().join("copy.cwasm");
        std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(mode)).unwrap();
        program()
            .args("-S max-resources=20 --allow-precompiled --dir .")
            .arg(&copy)
            .meanwhile({
                let copy = copy.clone();
                move || {
                    std::fs::File::options()
                        .write(true)
                        .open(copy)
                        .unwrap()
                        .set_len(0)
                        .unwrap()
                }
            })
            .run()
            .expect_code(7);
    }
    // Damage is found before it is run, as in one that is mapped.
    std::fs::write(
        folder.path().join("copy.cwasm"),
        &std::fs::read(&code).unwrap()[..5000],
    )
    .unwrap();
    let line = "exec \"$0\" --allow-precompiled copy.cwasm";
    ended(&shell(folder.path(), line), 1, "cut short");
}

/// The time limit once began with the program, whatever it took to compile it.
#[test]
fn the_time_limit_ends_a_compilation() {
    let function = "(func (param i64 i64) (result i64) (i64.add (i64.mul (local.get 0) (local.get 1)) (local.get 0)))";
    let large = format!(
        "(module {} (func (export \"_start\")))",
        function.repeat(40_000)
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("large.wat"), large).unwrap();
    let began = Instant::now();
    let output = shell(
        folder.path(),
        "exec \"$0\" --timeout 300ms -C cache=n large.wat",
    );
    ended(
        &output,
        134,
        "error: `large.wat` timed out after 300ms\n  why: it was still being",
    );
    assert!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    // It leaves alone what was asked for as a file.
    std::fs::write(folder.path().join("trace.json"), "before").unwrap();
    shell(
        folder.path(),
        "exec \"$0\" --timeout 300ms -C cache=n --trace trace.json large.wat",
    );
    assert_eq!(
        std::fs::read(folder.path().join("trace.json")).unwrap(),
        b"before"
    );
}

#[test]
fn modules_within_limits() {
    let folder = tempfile::tempdir().unwrap();
    for (options, said) in [
        (
            "--max-module-size 1000000 --max-functions 2 --max-function-size 100",
            "",
        ),
        ("--max-module-size 20", " bytes, and the limit is 20\n"),
        (
            "--max-functions 1",
            "the module has 2 functions, and the limit is 1\n",
        ),
        (
            "--max-function-size 3",
            " bytes in a function, and the limit is 3\n",
        ),
    ] {
        let code = if said.is_empty() { 7 } else { 1 };
        ended(
            &shell(folder.path(), &format!("exec \"$0\" {options} exit.wat")),
            code,
            said,
        );
        let compile = format!("exec \"$0\" compile {options} exit.wat");
        ended(&shell(folder.path(), &compile), code % 7, said);
    }
}
