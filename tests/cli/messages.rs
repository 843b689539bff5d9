//! What is said when something is wrong.

use crate::program;
use integration_tests::{Finished, Guest, Input, TRAPPED};
use wasi_threads::Termination;

#[track_caller]
fn refused(text: impl Into<Vec<u8>>) -> Finished {
    let run = program().on_stdin(text).run().expect_code(1);
    assert_eq!(run.stdout, "");
    // One line what, one line why, one line what to do.
    assert!(run.stderr.starts_with("error: "), "{run}");
    assert!(!run.stderr.contains("panicked"), "{run}");
    run
}

/// What this system says of a path whose folder is not there.
fn missing() -> String {
    format!("why: {}\n", std::fs::read("nowhere/app.wasm").unwrap_err())
}

#[test]
fn no_such_file() {
    program()
        .arg("nowhere/app.wasm")
        .run()
        .expect_code(1)
        .expect_stderr(&["error: cannot read `nowhere/app.wasm`", &missing()]);
    program()
        .arg("nowhere")
        .run()
        .expect_code(1)
        .expect_stderr(&["nowhere.wasm"]);
    program()
        .arg(".")
        .run()
        .expect_code(1)
        .expect_stderr(&["--dir"]);
    program()
        .args("serve app.wasm")
        .run()
        .expect_code(1)
        .expect_stderr(&["`serve` is a subcommand of `wasmtime` only"]);
}

#[test]
fn no_such_folder() {
    program()
        .args("--dir no/such/folder")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(1)
        .expect_stderr(&["no/such/folder"]);
}

#[test]
fn not_a_module() {
    refused("").expect_stderr(&["empty"]);
    refused([0x7f, b'E', b'L', b'F', 0, 0]).expect_stderr(&["binary format"]);
    refused("(module").expect_stderr(&["is not a WebAssembly module", "expected `)`"]);
    refused("(component)").expect_stderr(&["is a component", "wasmtime run"]);
    // A valid preamble, then nonsense.
    refused(*b"\0asm\x01\0\0\0\xff\xff\xff").expect_stderr(&["error: "]);
    refused(*b"\0asm\x01\0\0\0\x01\x7f").expect_stderr(&["error: "]);
}

#[test]
fn imports_that_nothing_provides() {
    let text = r#"(module (import "env" "dance" (func)) (memory (export "memory") 1)
                   (func (export "_start")))"#;
    refused(text).expect_stderr(&["env", "dance"]);
    let run = |option: &str| program().args(option).on_stdin(text).run();
    run("-W unknown-imports-trap").expect_code(0);
    run("-W unknown-imports-default").expect_code(0);
}

const SPAWN: &str = r#"(import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))"#;

/// A module of the wrong shape is told the linker flag it lacks.
#[test]
fn wrong_shapes_name_the_flag() {
    // Imported, but not shared.
    refused(format!(
        r#"(module {SPAWN} (import "env" "memory" (memory 1)) (export "memory" (memory 0))
            (func (export "wasi_thread_start") (param i32 i32)) (func (export "_start")))"#
    ))
    .expect_stderr(&["--shared-memory"]);
    // Its own memory, though it spawns.
    refused(format!(
        r#"(module {SPAWN} (memory (export "memory") 1 1 shared)
            (func (export "wasi_thread_start") (param i32 i32)) (func (export "_start")))"#
    ))
    .expect_stderr(&["--import-memory"]);
    // Not exported.
    refused(format!(
        r#"(module {SPAWN} (import "env" "memory" (memory 1 1 shared))
            (func (export "wasi_thread_start") (param i32 i32)) (func (export "_start")))"#
    ))
    .expect_stderr(&["--export-memory"]);
    // No memory at all, but calls that need one.
    refused(
        r#"(module (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
            (func (export "_start")))"#,
    )
    .expect_stderr(&["--export-memory"]);
}

/// No `wasi_thread_start` is no fault until the program spawns, and then a
/// negative result.
#[test]
fn no_thread_entry() {
    let text = format!(
        r#"(module {SPAWN} (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
            (func (export "_start")
              (if (i32.ge_s (call $spawn (i32.const 0)) (i32.const 0)) (then unreachable))))"#
    );
    program().on_stdin(text).run().expect_code(0);
}

/// `-S threads=n` takes the import away.
#[test]
fn threads_switched_off() {
    program()
        .args("-S threads=n")
        .guest(&Guest::c("spawns"))
        .args("once 1")
        .run()
        .expect_code(1)
        .expect_stderr(&["-S threads=n"]);
    program()
        .args("-S threads=n")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(0);
}

/// Every message to the letter, so that a change of one is a decision.
#[test]
fn to_the_letter() {
    let spawning = |rest: &str| format!("(module {SPAWN} {rest} (func (export \"_start\")))");
    let table = [
        (
            "nowhere/app.wasm",
            String::new(),
            1,
            "error: cannot read `nowhere/app.wasm`\n  \
             why: No such file or directory (os error 2)\n  \
             help: check the path; options of the program itself go after the module\n",
        ),
        (
            "--dir no/such -",
            "(module (func (export \"_start\")))".into(),
            1,
            "error: the folder `no/such` cannot be opened\n  \
             why: No such file or directory (os error 2)\n  \
             help: check the path: in `--dir HOST::GUEST` the host's comes first, in `--mapdir GUEST::HOST` last\n",
        ),
        (
            "-",
            "(component)".into(),
            1,
            "error: the module on stdin is a component\n  \
             why: wasi-threads exists for core modules only\n  \
             help: run it with `wasmtime run`, or build for the target wasm32-wasip1-threads\n",
        ),
        (
            "--invoke c -",
            "(module (func (export \"a\")) (func (export \"b\")))".into(),
            1,
            "error: the module on stdin has no function `c` to run\n  \
             why: it exports: a, b\n  \
             help: name one with `--invoke`\n",
        ),
        (
            "-",
            spawning("(import \"env\" \"memory\" (memory 1)) (export \"memory\" (memory 0))"),
            1,
            "error: the module on stdin cannot be run\n  \
             why: it starts threads, but its memory `env.memory` is not shared\n  \
             help: link it with `--shared-memory --max-memory=BYTES`\n",
        ),
        (
            "-",
            spawning("(memory (export \"memory\") 1 1 shared)"),
            1,
            "error: the module on stdin cannot be run\n  \
             why: it starts threads, but defines its memory itself, so that each thread would get its own\n  \
             help: link it with `--import-memory --shared-memory --max-memory=BYTES`\n",
        ),
        (
            "-",
            spawning("(import \"env\" \"memory\" (memory 1 1 shared))"),
            1,
            "error: the module on stdin cannot be run\n  \
             why: it starts threads, but exports no memory named `memory`, where WASI looks for it\n  \
             help: link it with `--export-memory`\n",
        ),
        (
            "-",
            spawning(""),
            1,
            "error: the module on stdin cannot be run\n  \
             why: it starts threads, but has no memory that they could share\n  \
             help: link it with `--import-memory --export-memory --shared-memory --max-memory=BYTES`\n",
        ),
        (
            "-W threads=n -",
            spawning("(import \"env\" \"memory\" (memory 1 1 shared)) (export \"memory\" (memory 0))"),
            1,
            "error: the module on stdin cannot be compiled\n  \
             why: it uses shared memory or atomics, and `-W threads=n` forbids that\n  \
             help: leave out `-W threads=n`\n",
        ),
        (
            "-",
            "(module (import \"env\" \"f\" (func)) (import \"env\" \"g\" (func)) (func (export \"_start\")))".into(),
            1,
            "error: the module on stdin cannot be run\n  \
             why: nothing provides what it imports: the function `env.f`, the function `env.g`\n  \
             help: `-W unknown-imports-trap` runs it as long as it does not call what is missing\n",
        ),
        (
            "-W unknown-imports-trap -",
            "(module (import \"env\" \"t\" (table 1 funcref)) (import \"env\" \"f\" (func)) (func (export \"_start\")))".into(),
            1,
            "error: the module on stdin cannot be run\n  \
             why: nothing provides what it imports: the table `env.t`\n  \
             help: only another module can provide what is not a function: link it in, or `--preload` it\n",
        ),
        (
            "-",
            "(module (import \"wasi_snapshot_preview1\" \"sched_yield\" (func)) (memory (export \"memory\") 1) (func (export \"_start\")))".into(),
            1,
            "error: the module on stdin cannot be run\n  \
             why: incompatible import type for `wasi_snapshot_preview1::sched_yield`: types incompatible: \
             expected type `(func)`, found type `(func (result i32))`\n  \
             help: it was built for another version of what it imports: build it again with a current toolchain\n",
        ),
        (
            "-",
            spawning("(import \"env\" \"memory\" (memory 1 1 shared)) (export \"memory\" (memory 0)) \
                      (func (export \"a\") (drop (call $spawn (i32.const 0))))")
                .replace("(func (export \"_start\"))", "(func (export \"_start\") (drop (call $spawn (i32.const 0))))"),
            0,
            "note: 1 spawn failed: the module exports no function `wasi_thread_start` from (i32, i32) to nothing: \
             link it with `--export=wasi_thread_start`\n",
        ),
        (
            "-S cwd=/ -",
            String::new(),
            2,
            "error: `-S cwd` cannot work here\n  \
             why: preview1 has no call that tells a program its working directory: a libc makes one from the folders of --dir\n  \
             help: leave the option out; `--dir HOST::.` is where a program's relative paths lead\n",
        ),
        (
            "-W shared-everything-threads=y -",
            String::new(),
            2,
            concat!(
                "error: `-W shared-everything-threads` cannot work here\n  why: Wasmtime ",
                env!("CARGO_PKG_VERSION_MAJOR"),
                " does not have that proposal: it takes the option and does nothing\n  \
                 help: leave the option out\n"
            ),
        ),
        (
            "-W component-model=y -",
            String::new(),
            2,
            "error: `-W component-model` cannot work here\n  \
             why: it concerns components; this program runs core modules on WASI preview1\n  \
             help: leave the option out\n",
        ),
        (
            "-O pooling-total-memories=3 -",
            String::new(),
            2,
            "error: `-O pooling-...` cannot work here\n  \
             why: it sets how the pooling allocator works, which is off: `-O pooling-allocator` turns it on\n  \
             help: add `-O pooling-allocator`, or leave the option out\n",
        ),
        (
            "-W max-wasm-stack=18446744073709551615 -",
            String::new(),
            2,
            "error: `-W max-wasm-stack` is too large\n  \
             why: no machine has so much memory\n  \
             help: give it in bytes\n",
        ),
        (
            "--target sparcv9-sun-solaris -",
            String::new(),
            2,
            "error: `--target` cannot work here\n  \
             why: a module can only be run by this machine\n  \
             help: leave the option out\n",
        ),
        (
            "compile --target sparcv9-sun-solaris -o x -",
            String::new(),
            2,
            "error: `--target` cannot work here\n  \
             why: the compiler in this binary is the one for this machine's processor\n  \
             help: leave the option out, and compile on a machine of that kind\n",
        ),
        (
            "--wasi-modules=experimental-wasi-nn -",
            String::new(),
            2,
            "error: `-S nn` cannot work here\n  \
             why: it concerns components; this program runs core modules on WASI preview1\n  \
             help: leave the option out\n",
        ),
        (
            "-",
            "(module (func $f (call $f)) (func (export \"_start\") (call $f)))".into(),
            TRAPPED,
            "error: the main thread of the module on stdin trapped\n  \
             why: wasm trap: call stack exhausted\n  \
             help: if the recursion is meant to end, raise `-W max-wasm-stack` (and `--thread-stack-size` with it)\n",
        ),
        (
            "-W max-memory-size=1000 -",
            spawning(
                "(import \"env\" \"memory\" (memory 1 16 shared)) (export \"memory\" (memory 0))",
            ),
            1,
            "error: the module on stdin cannot be run\n  \
             why: its shared memory may grow to 1048576 bytes, and the limit is 1000\n  \
             help: raise `-W max-memory-size`, or link it with a smaller `--max-memory` (rustc: `-C link-arg=--max-memory=BYTES`, which is 1 GiB by default)\n",
        ),
        (
            "-S nn -",
            String::new(),
            2,
            "error: `-S nn` cannot work here\n  \
             why: it concerns components; this program runs core modules on WASI preview1\n  \
             help: leave the option out\n",
        ),
        (
            "--timeout 3s -",
            "(module (func (export \"_start\") (loop (br 0))))".into(),
            TRAPPED,
            "error: the module on stdin timed out after 3s\n  \
             help: the limit is `--timeout` or `-W timeout`\n\
             1 thread\n\
             thread main runs\n  \
             wasm backtrace:\n      \
             0:     0x25 - <wasm function 0>\n",
        ),
        // The address is Wasmtime's: without epoch checks it names the instruction behind.
        (
            "-",
            "(module (func $deep unreachable) (func (export \"_start\") (call $deep)))".into(),
            TRAPPED,
            "error: the main thread of the module on stdin trapped\n  \
             why: wasm trap: wasm `unreachable` instruction executed\n\
             wasm backtrace:\n    \
             0:     0x24 - <unknown>!deep\n    \
             1:     0x28 - <unknown>!<wasm function 1>\n",
        ),
    ];
    for (args, input, status, stderr) in table {
        // Where nothing stops a thread, code has checks: a thread ends at the next one, and other
        // addresses are told.
        if !Termination::CAN_EXIT
            && (args.starts_with("--timeout") || stderr.contains("backtrace:"))
        {
            continue;
        }
        let run = program()
            .args(args)
            .input(Input::Bytes(input.into_bytes()))
            .run()
            .expect_code(status);
        let stderr = stderr.replace("why: No such file or directory (os error 2)\n", &missing());
        // A backtrace of endless recursion is as long as it may be.
        let said = match stderr.contains("call stack exhausted") {
            true => run
                .stderr
                .split_once("wasm backtrace")
                .map_or("", |(said, _)| said),
            false => &run.stderr,
        };
        assert_eq!(said, stderr, "{args}");
    }
}
