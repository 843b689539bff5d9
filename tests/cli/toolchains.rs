//! Programs of real toolchains, if those are installed. If not, a line says so. The freestanding
//! guests need the same things from the host. Continuous integration (`CI=true`) must have the Rust
//! target, so that it is tested somewhere.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use crate::program;
use integration_tests::{
    Input, Program, RUST_TARGET, TRAPPED, compiled_before, guest_toolchain, has_rust_target,
    repository, rustc,
};

pub(crate) fn out(name: &str) -> PathBuf {
    let out = repository().join("target/guests");
    std::fs::create_dir_all(&out).unwrap();
    out.join(name)
}

fn rust_program() -> PathBuf {
    rust_guest("threads")
}

/// A program of `tests/guests/rust`, compiled. Several tests ask for one program at the same time,
/// and the compiler's files are named after its output: so one compiles, under a name of this
/// process, and the result is put in place as a whole.
pub(crate) fn rust_guest(name: &str) -> PathBuf {
    let finished = out(&format!("rust_{name}.wasm"));
    if let Some(before) = compiled_before(&finished) {
        return before;
    }
    static COMPILING: Mutex<()> = Mutex::new(());
    let _one = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let new = out(&format!("rust_{name}.{}.wasm", std::process::id()));
    let compiled = rustc()
        .args(["--edition", "2024", "-g", "-O"])
        .arg(repository().join(format!("tests/guests/rust/{name}.rs")))
        .arg("-o")
        .arg(&new)
        .output()
        .unwrap();
    assert!(
        compiled.status.success(),
        "{}",
        String::from_utf8_lossy(&compiled.stderr)
    );
    std::fs::rename(&new, &finished).unwrap();
    finished
}

fn said(args: &str) -> String {
    format!("args {args}\nsum 13986000\nreceived [0, 1, 2, 3]\nleaders 1\nstdin \"hello\\n\"\n")
}

#[test]
fn rust_threads() {
    if !has_rust_target() {
        return;
    }
    let module = rust_program();
    for _ in 0..20 {
        let run = program()
            .arg(&module)
            .args("one --two")
            .input(Input::Bytes(b"hello\n".to_vec()))
            .run()
            .expect_code(9);
        assert_eq!(run.stdout, said(r#"["one", "--two"]"#), "{run}");
        assert_eq!(run.stderr, "", "{run}");
    }
    // The output before the end is there, and the trace names function, file and line.
    program()
        .arg(&module)
        .arg("panic")
        .run()
        .expect_code(TRAPPED)
        .without_hashes()
        .expect_stderr(&[
            "the child is unwell",
            "error: thread ",
            "unreachable",
            "threads::main",
            "threads.rs:",
        ]);
}

/// `runner = "wasi-threads-run"`, as the README shows.
#[test]
fn cargo_runner() {
    // Guests that were compiled before have no toolchain beside them.
    let before = repository().join("target/guests/zoo.wasm");
    if !has_rust_target() || compiled_before(&before).is_some() {
        return;
    }
    let project = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = project.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "Cargo.toml",
        "[package]\nname = \"app\"\nedition = \"2024\"\n[workspace]\n",
    );
    write(
        "src/main.rs",
        &std::fs::read_to_string(repository().join("tests/guests/rust/threads.rs")).unwrap(),
    );
    write(
        "tests/a.rs",
        "#[test] fn t() { assert_eq!(std::thread::spawn(|| 5).join().unwrap(), 5); }",
    );
    write(
        ".cargo/config.toml",
        &format!(
            "[target.{RUST_TARGET}]\nrunner = {:?}\n",
            env!("CARGO_BIN_EXE_wasi-threads-run")
        ),
    );
    let cargo = |line: &str| {
        let cargo = Program::new("cargo")
            .args(line)
            .env("CARGO_TARGET_DIR", project.path().join("target"))
            .in_folder(project.path())
            .timeout(std::time::Duration::from_secs(300));
        guest_toolchain()
            .into_iter()
            .fold(cargo, |cargo, (name, value)| cargo.env(name, value))
    };
    let run = cargo(&format!(
        "run --quiet --offline --target {RUST_TARGET} -- one --two -- -x"
    ))
    .input(Input::Bytes(b"hello\n".to_vec()))
    .run();
    assert_eq!(run.stdout, said(r#"["one", "--two", "--", "-x"]"#), "{run}");
    let run = run.expect_code(9);
    assert!(!run.stderr.contains("error"), "{run}");
    let run = cargo(&format!(
        "test --offline --target {RUST_TARGET} -- --test-threads 2"
    ))
    .run()
    .expect_code(0);
    assert!(run.stdout.contains("test t ... ok"), "{run}");
}

#[test]
fn pthreads() {
    let Some(sdk) = std::env::var_os("WASI_SDK_PATH") else {
        println!("WASI_SDK_PATH is not set: the pthread guests are left out");
        return;
    };
    let out = out("pthread_sum.wasm");
    let compiled = Command::new(Path::new(&sdk).join("bin/clang"))
        .args("--target=wasm32-wasip1-threads -pthread -O2".split(' '))
        .arg("-Wl,--import-memory,--export-memory,--max-memory=67108864")
        .arg(repository().join("tests/guests/pthread/sum.c"))
        .arg("-o")
        .arg(&out)
        .status()
        .unwrap();
    assert!(compiled.success());
    let run = program().arg(&out).args("8 100000").run().expect_code(0);
    assert_eq!(run.stdout, "8 threads counted to 800000\n");
}
