//! Messages that say what to do, to the letter: limits of the host, what Wasmtime does not have,
//! slips.

use std::process::Output;

use crate::program;
use integration_tests::emulated::left_out;
use integration_tests::{Finished, TRAPPED};

/// What stderr is when a module on stdin is run with these options.
#[track_caller]
fn said(options: &str, module: impl Into<Vec<u8>>, status: i32) -> String {
    let run: Finished = program().args(options).on_stdin(module).run();
    run.expect_code(status).stderr
}

/// An error of the system, in the words of the C library: glibc and musl differ.
fn in_words(errno: i32) -> String {
    std::io::Error::from_raw_os_error(errno).to_string()
}

/// Runs a line of bash in which `$0` is the binary and `$1` a module.
fn bash(line: &str, module: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("m.wat"), module).unwrap();
    let output = std::process::Command::new("bash")
        .args(["-c", line])
        .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
        .arg("m.wat")
        .env("XDG_CACHE_HOME", folder.path().join("cache"))
        .current_dir(folder.path())
        .output()
        .unwrap();
    integration_tests::recorded(line, output)
}

/// What stderr is after such a line, which fails with `status`.
#[track_caller]
fn said_after(line: &str, module: &str, status: i32) -> String {
    let output = bash(line, module);
    assert_eq!(output.status.code(), Some(status), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const OWN: &str = r#"(module (memory (export "memory") 1) (data (i32.const 0) "data")
                       (func (export "_start")))"#;
const SHARED: &str = r#"(module (import "env" "memory" (memory 1 1 shared))
                          (func (export "_start")))"#;

/// 3 GiB of address space have no room for the 4 GiB that Wasmtime reserves for a memory.
#[test]
#[cfg(target_os = "linux")]
fn a_small_address_space() {
    if left_out("the limit is on the memory of its own, too") {
        return;
    }
    for module in [OWN, SHARED] {
        assert_eq!(
            said_after("ulimit -v 3145728; \"$0\" \"$1\"", module, 1),
            format!(
                "error: `m.wat` cannot be run\n  \
                 why: mmap failed to reserve 0x104000000 bytes: {}\n  \
                 help: raise the limit of the address space (`ulimit -v`), or have less reserved for each memory: \
                 `-O memory-reservation=BYTES` (4 GiB by default; compiled files need it when they are compiled, too)\n",
                in_words(libc::ENOMEM)
            )
        );
        let advised = "ulimit -v 3145728; \"$0\" -O memory-reservation=0x10000000 \"$1\"";
        assert_eq!(said_after(advised, module, 0), "");
    }
    let advised = "-O pooling-allocator,pooling-total-memories=4,memory-reservation=0x1000000 \
                   -O pooling-max-memory-size=0x1000000,pooling-total-core-instances=4";
    // No room for the memories; with few of them, none for the stacks.
    for (limit, options) in [(3 << 20, "-O pooling-allocator"), (1_500_000, advised)] {
        let line = format!("ulimit -v {limit}; \"$0\" {options} \"$1\"");
        let pooling = said_after(&line, OWN, 2);
        assert!(
            pooling.ends_with(
                "help: the pooling allocator reserves all memories, tables and stacks at once: ask for fewer \
                 (`-O pooling-total-memories=N`, `-O pooling-total-tables=N`, `-O pooling-total-stacks=N`) or smaller \
                 memories (`-O memory-reservation=BYTES`), or raise the limit of the address space (`ulimit -v`)\n"
            ),
            "{pooling}"
        );
    }
    // The static binary's allocator has reserved 1 GiB of the 3.
    let line = format!("ulimit -v 3145728; \"$0\" {advised} -O pooling-total-stacks=4 \"$1\"");
    assert_eq!(said_after(&line, OWN, 0), "");
}

/// The cause was once left out.
#[test]
#[cfg(target_os = "linux")]
fn few_open_files() {
    let help = "  help: this process may not open more files: raise the limit (`ulimit -n`; systemd: `LimitNOFILE=`)\n";
    let too_many = in_words(libc::EMFILE);
    let mut failed = 0;
    for files in 4..20 {
        let line = format!("ulimit -n {files}; \"$0\" --dir . --trace t.json \"$1\"");
        let output = bash(&line, OWN);
        let stderr = String::from_utf8_lossy(&output.stderr);
        // Where signals cannot be received, it says so and goes on.
        let signals = format!("warning: signals are left to the system: {too_many}\n");
        let stderr = stderr.strip_prefix(&signals).unwrap_or(&stderr);
        match output.status.code() {
            Some(0) => assert_eq!(stderr, "", "{files}"),
            // Also of a binary whose libraries cannot be loaded.
            Some(127) => {}
            _ => {
                failed += 1;
                assert_eq!(output.status.code(), Some(1), "{files}: {output:?}");
                assert!(stderr.starts_with("error: "), "{files}: {stderr}");
                assert!(
                    stderr.contains(&format!("{too_many}\n")),
                    "{files}: {stderr}"
                );
                assert!(stderr.ends_with(help), "{files}: {stderr}");
            }
        }
    }
    assert!(failed > 2, "the limit was never in the way");
    // The thread of the cache may have one open; the end signal has one.
    let streams = said_after("ulimit -n 5; \"$0\" -C cache=n \"$1\"", OWN, 1);
    assert_eq!(
        streams,
        format!(
            "error: cannot set up WASI for `m.wat`\n  \
             why: cannot set up standard stream 1: {too_many}\n{help}"
        )
    );
}

/// systemd's `MemoryDenyWriteExecute`, which is inherited by what a process starts.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn memory_that_may_not_become_executable() {
    // prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN)
    let denied = "perl -e 'syscall(157, 65, 1, 0, 0, 0) == 0 or exit 99; exec @ARGV'";
    let module = bash(&format!("{denied} true"), OWN);
    if module.status.code() == Some(99) {
        println!("this kernel cannot deny it (Linux 6.3 can): the test of MDWE is left out");
        return;
    }
    let why = "  why: unable to make memory executable: failed to make memory executable: Permission denied (os error 13)\n  \
               help: compiled code has to be made executable, and this process may not do that: allow it (systemd: \
               `MemoryDenyWriteExecute=no`; prctl: PR_SET_MDWE)\n";
    assert_eq!(
        said_after(&format!("{denied} \"$0\" \"$1\""), OWN, 1),
        format!("error: `m.wat` cannot be compiled\n{why}")
    );
    let line = format!("\"$0\" compile \"$1\"; {denied} \"$0\" --allow-precompiled m.cwasm");
    assert_eq!(
        said_after(&line, OWN, 1),
        format!("error: `m.cwasm` cannot be loaded\n{why}")
    );
}

/// A function that throws and catches as it was done before there was a standard.
fn legacy_exceptions() -> Vec<u8> {
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(b"\x01\x04\x01\x60\0\0"); // one type: () -> ()
    module.extend(b"\x03\x02\x01\0"); // one function
    module.extend(b"\x0d\x03\x01\0\0"); // one tag
    module.extend(b"\x07\x0a\x01\x06_start\0\0");
    module.extend(b"\x0a\x0a\x01\x08\0\x06\x40\x08\0\x19\x0b\x0b"); // try throw 0 catch_all end end
    module
}

/// `run` says what to do, and `inspect` says the same; it once said that nothing was missing.
#[test]
fn proposals_that_are_not_there() {
    let compact = r#"(module (import "wasi_snapshot_preview1"
                       (item "sched_yield" (func (result i32))) (item "fd_close" (func (param i32) (result i32))))
                     (memory (export "memory") 1) (func (export "_start")))"#;
    let pages = r#"(module (memory (export "memory") 1 (pagesize 1)) (func (export "_start")))"#;
    for (module, why, help) in [
        (
            legacy_exceptions(),
            "it uses exceptions as they were before they became a standard, which Wasmtime does not have",
            "build it with `-mllvm -wasm-use-legacy-eh=false` (clang) or `-C llvm-args=-wasm-use-legacy-eh=false` \
             (rustc), or translate it with `wasm-opt --translate-to-exnref`",
        ),
        (
            compact.into(),
            match cfg!(wasmtime_50) {
                true => "it uses the proposal \"compact imports\", which is off by default",
                false => concat!(
                    "it uses the proposal \"compact imports\", which Wasmtime ",
                    env!("CARGO_PKG_VERSION_MAJOR"),
                    " does not have"
                ),
            },
            match cfg!(wasmtime_50) {
                true => "`-W compact-imports` turns it on",
                false => "build it without",
            },
        ),
        (
            pages.into(),
            "it uses the proposal \"custom page sizes\", which is off by default",
            "`-W custom-page-sizes` turns it on",
        ),
    ] {
        assert_eq!(
            said("", module.clone(), 1),
            format!(
                "error: the module on stdin cannot be compiled\n  why: {why}\n  help: {help}\n"
            )
        );
        let inspected = program()
            .args("inspect")
            .on_stdin(module)
            .run()
            .expect_code(1);
        assert!(
            inspected
                .stdout
                .ends_with(&format!("\nmissing: {why}: {help}\n")),
            "{inspected}"
        );
    }
    assert_eq!(said("-W custom-page-sizes", pages, 0), "");
    assert_eq!(
        said(
            "-W multi-value=n",
            "(module (func (result i32 i32) unreachable))",
            1
        ),
        "error: the module on stdin cannot be compiled\n  \
         why: it uses the proposal \"multi value\", which the options turn off\n  \
         help: leave out `-W multi-value=n`, or `-W all-proposals=n`\n"
    );
}

#[test]
fn inspect_refuses_what_is_not_valid() {
    let invalid =
        "(module (func (export \"_start\") (drop (i32.add (i64.const 1) (i32.const 2)))))";
    let inspected = program()
        .args("inspect")
        .on_stdin(invalid)
        .run()
        .expect_code(1);
    assert!(
        inspected.stdout.ends_with(
            "\nmissing: it is not a valid module: type mismatch: expected i32, found i64 (at offset 0x27)\n"
        ),
        "{inspected}"
    );
}

#[test]
fn more_random_bytes_than_may_be_asked_for() {
    let module = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $get (param i32 i32) (result i32)))
        (memory (export "memory") 2000)
        (func (export "_start") (drop (call $get (i32.const 0) (i32.const 100000000)))))"#;
    let stderr = said("", module, TRAPPED);
    assert!(
        stderr.starts_with(
            "error: the main thread of the module on stdin trapped\n  \
             why: random_get asked for 100000000 bytes, the limit is 67108864\n  \
             help: the limit is `-S max-random-size`; programs that ask for less at once need none\n"
        ),
        "{stderr}"
    );
    assert_eq!(said("-S max-random-size=100000000", module, 0), "");
}

/// Underscores for hyphens, and the other way round.
#[test]
fn imports_whose_names_are_nearly_right() {
    for (import, meant) in [
        (
            r#"(import "wasi" "thread_spawn" (func (param i32) (result i32)))"#,
            "here it is `wasi.thread-spawn`, and not `wasi.thread_spawn`: import it under that name",
        ),
        (
            r#"(import "wasi_snapshot_preview1" "thread-spawn" (func (param i32) (result i32)))"#,
            "here it is `wasi.thread-spawn`, and not `wasi_snapshot_preview1.thread-spawn`: import it under that name",
        ),
        (
            r#"(import "env" "fd-close" (func (param i32) (result i32)))"#,
            "here it is `wasi_snapshot_preview1.fd_close`, and not `env.fd-close`: import it under that name",
        ),
    ] {
        let module =
            format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))");
        let stderr = said("", &*module, 1);
        assert!(
            stderr.ends_with(&format!("\n  help: {meant}\n")),
            "{stderr}"
        );
        let inspected = program()
            .args("inspect")
            .on_stdin(module)
            .run()
            .expect_code(1);
        assert!(inspected.stdout.contains("`: here it is `"), "{inspected}");
    }
}

/// A native process would end with the lowest 8 bits, so that 256 would be success.
#[test]
fn exit_codes_that_no_process_has() {
    for (code, bits) in [(256, 0), (-1, 255), (1000, 232)] {
        let module = format!(
            r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                 (memory (export "memory") 1) (func (export "_start") (call $exit (i32.const {code}))))"#
        );
        assert_eq!(
            said("", module, 1),
            format!(
                "error: the module on stdin ended with the exit code {code}\n  \
                 why: an exit status is a number from 0 to 255\n  \
                 help: exit with one of them; of a native program's code a shell would see the lowest 8 bits, here {bits}\n"
            )
        );
    }
}

/// Arguments that `--invoke` has no parameters for were dropped, and nothing said so.
#[test]
fn arguments_that_are_left_over() {
    let module = |rest: &str| {
        format!(
            r#"(module {rest} (memory (export "memory") 1)
                 (func (export "f") (param i32) (result i32) (local.get 0)) (func (export "g")))"#
        )
    };
    let run = |text: String, function: &str, args: &str| {
        let run = program()
            .args("--invoke")
            .arg(function)
            .on_stdin(text)
            .args(args)
            .run();
        run.expect_code(0).stderr
    };
    assert_eq!(
        run(module(""), "f", "1 2 x"),
        "note: `f` has no parameters for `2`, `x`, and the program reads no arguments: they are left over\n"
    );
    assert_eq!(
        run(module(""), "g", "1"),
        "note: `g` has no parameters for `1`, and the program reads no arguments: they are left over\n"
    );
    assert_eq!(run(module(""), "f", "1"), "");
    // Many, and long ones.
    let said = run(
        module(""),
        "f",
        &format!("1 {} {}", "x".repeat(9_000), "y ".repeat(999)),
    );
    assert!(said.contains("`y`, `y`, 997 more, and"), "{said}");
    assert!(said.len() < 1_000, "{said}");
    // It may read them.
    let reads =
        r#"(import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))"#;
    assert_eq!(run(module(reads), "f", "1 2"), "");
}

/// `parking_lot` without its feature `nightly`, as far as its name says so.
#[test]
fn parking_lot_that_cannot_wait() {
    let said = |name: &str, body: &str| {
        let module =
            format!("(module (func ${name} {body}) (func (export \"_start\") (call ${name})))");
        said("", module, TRAPPED)
    };
    let help = "\n  help: the crate `parking_lot` cannot wait as a stable compiler builds it: docs/troubleshooting.md says \
                what can be done\n";
    let park = "_ZN16parking_lot_core13thread_parker3imp12ThreadParker4park17h0123456789abcdefE";
    assert!(said(park, "unreachable").contains(help));
    // Other traps and other names are something else.
    let other = "(drop (i32.div_u (i32.const 1) (i32.const 0)))";
    assert!(!said(park, other).contains("parking_lot` cannot"));
    assert!(
        !said(
            "_ZN16parking_lot_core4lock17h0123456789abcdefE",
            "unreachable"
        )
        .contains("help: ")
    );
}

/// A C library that has no `setjmp` leaves it undefined.
#[test]
fn setjmp_without_exceptions() {
    let module = r#"(module (import "env" "setjmp" (func (param i32) (result i32)))
                      (memory (export "memory") 1) (func (export "_start")))"#;
    assert_eq!(
        said("", module, 1),
        "error: the module on stdin cannot be run\n  \
         why: nothing provides what it imports: the function `env.setjmp`\n  \
         help: `setjmp` needs exceptions: compile with `-mllvm -wasm-enable-sjlj -mllvm -wasm-use-legacy-eh=false` and \
         link with `-lsetjmp`\n"
    );
}

/// rustc's default, against a host's limit.
#[test]
fn a_maximum_of_1_gib() {
    let module =
        r#"(module (import "env" "memory" (memory 1 16384 shared)) (func (export "_start")))"#;
    assert_eq!(
        said("-W max-memory-size=536870912", module, 1),
        "error: the module on stdin cannot be run\n  \
         why: its shared memory may grow to 1073741824 bytes, and the limit is 536870912\n  \
         help: raise `-W max-memory-size`, or link it with a smaller `--max-memory` (rustc: \
         `-C link-arg=--max-memory=BYTES`, which is 1 GiB by default)\n"
    );
}

/// A program that could start threads and says that this version of rustc built it.
fn built_by(version: &str, body: &str) -> Vec<u8> {
    let module = format!(
        r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32)))
             (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
             (func (export "wasi_thread_start") (param i32 i32)) (func (export "_start") {body})
             (@producers (processed-by "rustc" "{version}")))"#
    );
    module.into_bytes()
}

#[test]
fn compilers_whose_threads_do_not_work() {
    let fails = "note: the module on stdin: it was built by rustc 1.94.0, in which every `thread::spawn` fails for this \
                 target: build it with 1.94.1 or newer\n";
    let broken = "1.94.0 (4a4ef493e 2026-03-02)";
    assert!(said("", built_by(broken, "unreachable"), TRAPPED).ends_with(fails));
    assert_eq!(said("", built_by(broken, ""), 0), "");
    assert!(!said("", built_by("1.94.1", "unreachable"), TRAPPED).contains("note: "));
    for (version, noted) in [
        (
            broken,
            Some("rustc 1.94.0, in which every `thread::spawn` fails"),
        ),
        (
            "1.95.0",
            Some("rustc 1.95, whose wasi-libc can open wrong files"),
        ),
        ("1.96.0", None),
    ] {
        let inspected = program()
            .args("inspect")
            .on_stdin(built_by(version, ""))
            .run()
            .expect_code(0);
        let note = inspected
            .stdout
            .lines()
            .find_map(|line| line.strip_prefix("note: it was built by "));
        match noted {
            Some(noted) => assert!(
                note.is_some_and(|note| note.starts_with(noted)),
                "{inspected}"
            ),
            None => assert_eq!(note, None, "{inspected}"),
        }
    }
}
