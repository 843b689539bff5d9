//! Compiling: how long it may seem to take.

use crate::program;
use integration_tests::Program;
use std::time::Duration;

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
        // Without optimisation and beside a load, one processor's share is small.
        .timeout(Duration::from_secs(600))
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
        .timeout(Duration::from_secs(600))
        .run()
        .expect_code(0);
    assert_eq!(silent.stderr, "");
}
