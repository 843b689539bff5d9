//! Code compiled before: by `compile`, and by `wasmtime compile`.

use std::path::Path;

use crate::program;
use integration_tests::{Finished, Guest};

#[track_caller]
fn compile(module: &Path, out: &Path) {
    program()
        .arg("compile")
        .arg(module)
        .arg("-o")
        .arg(out)
        .run()
        .expect_code(0);
}

fn run(file: &Path) -> Finished {
    program().arg("--allow-precompiled").arg(file).run()
}

/// A file that lost its end, or was changed, once counted as a foreign one: it ran without its
/// start function.
#[test]
fn a_damaged_file_is_refused_and_not_run_without_its_start_function() {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name);
    // Ends with 5 if the start function did not run.
    std::fs::write(
        place("start.wat"),
        r#"(module
             (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
             (memory (export "memory") 1)
             (func $start (i32.store (i32.const 0) (i32.const 1)))
             (start $start)
             (func (export "_start") (if (i32.eqz (i32.load (i32.const 0))) (then (call $exit (i32.const 5))))))"#,
    )
    .unwrap();
    let good = place("start.cwasm");
    compile(&place("start.wat"), &good);
    run(&good).expect_code(0);
    let bytes = std::fs::read(&good).unwrap();
    let damaged = place("damaged.cwasm");
    let refused = |what: &str, bytes: &[u8]| {
        std::fs::write(&damaged, bytes).unwrap();
        let run = run(&damaged);
        assert_eq!(run.code(), 1, "{what}: {run}");
        assert_eq!(
            run.stderr,
            format!(
                "error: `{}` cannot be loaded\n  \
                 why: the file is damaged: it was cut short, or changed, after it was compiled\n  \
                 help: compile it again\n",
                damaged.display()
            ),
            "{what}"
        );
    };
    for cut in (1..=40).chain([100, bytes.len() / 2, bytes.len() - 16]) {
        refused(&format!("{cut} bytes less"), &bytes[..bytes.len() - cut]);
    }
    refused("a newline more", &[&bytes[..], b"\n"].concat());
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    refused("a bit changed", &changed);
    // From a pipe, too, where nothing can be mapped.
    for (bytes, status) in [(bytes.clone(), 0), (bytes[..bytes.len() - 1].to_vec(), 1)] {
        program()
            .args("--allow-precompiled")
            .on_stdin(bytes)
            .run()
            .expect_code(status);
    }
    let mut other = bytes;
    other[15] = b'9';
    std::fs::write(&damaged, other).unwrap();
    run(&damaged)
        .expect_code(1)
        .expect_stderr(&["another version", "compile it again"]);
}

/// `compile` puts the file in place in one step: one that runs is not written into, and none is
/// there half.
#[test]
#[cfg(unix)]
fn compile_replaces_the_file_in_one_step() {
    use std::os::unix::fs::{MetadataExt as _, symlink};
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("hello.cwasm");
    let link = folder.path().join("link.cwasm");
    compile(Guest::wat("hello").path(), &out);
    let first = std::fs::metadata(&out).unwrap().ino();
    symlink(&out, &link).unwrap();
    compile(Guest::wat("hello").path(), &link);
    assert!(link.is_symlink(), "the link was replaced by a file");
    assert_ne!(std::fs::metadata(&out).unwrap().ino(), first);
    run(&link).expect_code(0);
    // What cannot be replaced is written to, and nothing is left behind.
    program()
        .args("compile -o /dev/full")
        .guest(&Guest::wat("hello"))
        .run()
        .expect_code(1)
        .expect_stderr(&["error: cannot write `/dev/full`", "No space left"]);
    let missing = folder.path().join("no/such/out.cwasm");
    program()
        .arg("compile")
        .guest(&Guest::wat("hello"))
        .arg("-o")
        .arg(missing)
        .run()
        .expect_code(1)
        .expect_stderr(&["cannot write"]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

/// The version of Wasmtime that there is a published command of. `scripts/setup.sh` installs it.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const PUBLISHED: &str = "48";

/// The published `wasmtime`.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn published(folder: &Path, options: &str, guest: &Guest) -> std::path::PathBuf {
    let wasmtime =
        integration_tests::repository().join(format!("target/peers/{PUBLISHED}/wasmtime"));
    assert!(
        wasmtime.is_file(),
        "{} is missing: `scripts/setup.sh` installs it",
        wasmtime.display()
    );
    let compiled = folder.join("published.cwasm");
    let output = std::process::Command::new(wasmtime)
        .args(["compile", "-C", "cache=n"])
        .args(options.split_whitespace())
        .arg("-o")
        .arg(&compiled)
        .arg(guest.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{options}: {output:?}");
    compiled
}

/// The published binary has another collector, and other features. So its files load only with
/// options, which the message must name.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn files_of_the_published_wasmtime_compile() {
    if env!("CARGO_PKG_VERSION_MAJOR") != PUBLISHED {
        println!("its files load in version {PUBLISHED} only: they are left out");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = |module: &Path, options: &str, args: &str| {
        let program = program().args("--allow-precompiled").args(options);
        program.arg(module).args(args).run()
    };
    let help = "\n  help: `wasi-threads-run compile` makes a file that loads; `wasmtime compile` 48 does with \
                `-C collector=drc -W concurrency-support=n`, and the options for code that are given here\n";
    for (options, why) in [
        (
            "",
            "module was compiled for the copying collector but the host is configured to use the deferred \
             reference-counting collector",
        ),
        (
            "-C collector=drc",
            "Module was compiled with concurrency support but it is not enabled for the host",
        ),
        (
            "-C collector=drc -W concurrency-support=n -O memory-reservation=0x1000000",
            "Module was compiled with a memory reservation of '16777216' but '4294967296' is expected for the host",
        ),
        (
            "-C collector=drc -W concurrency-support=n,custom-page-sizes",
            "Module was compiled with support for WebAssembly feature `custom_page_sizes` but it is not enabled for \
             the host",
        ),
    ] {
        let module = published(folder.path(), options, &Guest::wat("hello"));
        let refused = run(&module, "", "").expect_code(1);
        let what = format!("error: `{}` cannot be loaded", module.display());
        assert_eq!(refused.stderr, format!("{what}\n  why: {why}{help}"));
    }
    // The options that the message names are all that is needed, besides those that the run gets as
    // well.
    for more in [
        "",
        "-W epoch-interruption",
        "-O opt-level=0 -D address-map=n",
        "-D debug-info",
        "-O memory-reservation=0x1000000 -W custom-page-sizes",
    ] {
        let options = format!("-C collector=drc -W concurrency-support=n {more}");
        let module = |guest: &Guest| published(folder.path(), &options, guest);
        // The epochs are found in the file.
        let more = if more.contains("epoch") { "" } else { more };
        let said = run(&module(&Guest::wat("hello")), more, "").expect_code(0);
        assert_eq!(said.stdout, "hello, world\n", "{options}");
        let said = run(&module(&Guest::c("spawns")), more, "once 8").expect_code(0);
        assert_eq!(said.stdout, "once 8: ok\n", "{options}");
        let ending = module(&Guest::c("ending"));
        for main in ["spin", "wait"] {
            run(&ending, more, &format!("exit {main}")).expect_code(7);
        }
    }
    let module = published(
        folder.path(),
        "-C collector=drc -W concurrency-support=n",
        &Guest::wat("hello"),
    );
    run(&module, "-W epoch-interruption", "")
        .expect_code(1)
        .expect_stderr(&[
            "help: `wasmtime compile` 48 needs `-C collector=drc -W concurrency-support=n,epoch-interruption` for it; \
             without the last, run it with `-W epoch-interruption=n`\n",
        ]);
    run(&module, "-W epoch-interruption=n", "").expect_code(0);
}

/// Code that was compiled before runs if the user vouches for it. Its threads end in another way
/// than those of modules compiled here. It may be compiled with `wasmtime compile`'s own settings,
/// which the user need not guess, or with others.
#[test]
fn files_of_wasmtime_compile() {
    use wasmtime::{Config, Engine, WasmBacktraceDetails};
    let folder = tempfile::tempdir().unwrap();
    let compiled = |guest: &Guest, epochs: bool, details: bool| {
        let mut config = Config::new();
        config.shared_memory(true).epoch_interruption(epochs);
        if details {
            config.wasm_backtrace_details(WasmBacktraceDetails::Enable);
        }
        let wasm = wat::parse_file(guest.path()).unwrap();
        let path = folder.path().join("module.cwasm");
        let engine = Engine::new(&config).unwrap();
        std::fs::write(&path, engine.precompile_module(&wasm).unwrap()).unwrap();
        path
    };
    let run = |module: &Path, options: &str, args: &str| {
        program().args(options).arg(module).args(args).run()
    };
    let allow = "--allow-precompiled";
    let (hello, ending) = (Guest::wat("hello"), Guest::c("ending"));
    run(&compiled(&hello, true, true), "", "")
        .expect_code(1)
        .expect_stderr(&[allow]);
    for details in [true, false] {
        let said = run(&compiled(&hello, true, details), allow, "").expect_code(0);
        assert_eq!(said.stdout, "hello, world\n");
        let spawns = compiled(&Guest::c("spawns"), true, details);
        let said = run(&spawns, allow, "once 8").expect_code(0);
        assert_eq!(said.stdout, "once 8: ok\n");
        for main in ["spin", "wait"] {
            run(
                &compiled(&ending, true, details),
                allow,
                &format!("exit {main}"),
            )
            .expect_code(7);
        }
        // Without epochs, as `wasmtime compile` has it unless asked.
        let hello = compiled(&hello, false, details);
        for options in [allow, "--allow-precompiled -W epoch-interruption=n"] {
            run(&hello, options, "").expect_code(0);
        }
        run(&hello, "--allow-precompiled -W epoch-interruption", "")
            .expect_code(1)
            .expect_stderr(&["cannot be loaded", "-W epoch-interruption=n"]);
        let ending_without = compiled(&ending, false, details);
        for main in ["spin", "wait"] {
            run(&ending_without, allow, &format!("exit {main}")).expect_code(7);
        }
        // The other way round: what is lacking is another option.
        run(
            &compiled(&ending, true, details),
            "--allow-precompiled -W epoch-interruption=n",
            "exit wait",
        )
        .expect_code(1)
        .expect_stderr(&["cannot be loaded", "epoch", "-C collector=drc"]);
    }
}
