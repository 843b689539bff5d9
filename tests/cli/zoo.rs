//! One policy finds the bugs of `tests/zoo`. The search begins at a seed shortly before the first
//! that fails. `scripts/zoo.py` checks more.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use crate::program;
use crate::toolchains::out;
use integration_tests::{
    Finished, Guest, TRAPPED, compiled_before, has_rust_target, repository, rustc,
};

/// Schedules within which the first failing one is. With the compiler of today it is among the
/// first hundred; with another it is elsewhere.
const ENOUGH: u32 = 3_000;
/// In a debug build beside much else.
const TIMEOUT: Duration = Duration::from_secs(600);
/// Schedules that the mended program is run under; `scripts/zoo.py` asks for more.
const TWIN: u32 = 60;

/// All of `tests/zoo/rust`, compiled once.
static RUST: LazyLock<PathBuf> = LazyLock::new(|| {
    if let Some(before) = compiled_before(&out("zoo.wasm")) {
        return before;
    }
    let out = out(&format!("zoo.{}.wasm", std::process::id()));
    let compiled = rustc()
        .args(["--edition", "2024", "-g", "-O"])
        .arg(repository().join("tests/zoo/rust/main.rs"))
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{said}");
    // A name that stays, so that the cache knows it again.
    let finished = out.with_file_name("zoo.wasm");
    std::fs::rename(&out, &finished).unwrap();
    finished
});

struct Bug {
    module: PathBuf,
    /// Its name, where a module has many.
    name: Option<&'static str>,
    /// Where the search begins.
    seed: u32,
    options: &'static str,
}

impl Bug {
    fn explore(&self, count: u32, mended: bool) -> (Finished, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let mut program = program()
            .in_folder(folder.path())
            .timeout(TIMEOUT)
            .args(self.options)
            .args(&format!("--explore {count},policy=pos,seed={}", self.seed))
            .arg(&self.module);
        for arg in self.name.into_iter().chain(mended.then_some("mended")) {
            program = program.arg(arg);
        }
        (program.run(), folder)
    }

    /// It is found, and the printed line fails in the same way; the mended program does not fail.
    fn check(&self) {
        let (found, folder) = self.explore(ENOUGH, false);
        let what = format!("{:?} {:?}: {found}", self.module, self.name);
        assert!(found.stderr.contains("minimised to "), "{what}");
        assert!(matches!(found.code(), 100 | TRAPPED), "{what}");
        let line = found.stderr.lines().last().unwrap();
        let command = line.strip_prefix("replay: ").unwrap();
        let (_, options) = command.split_once(' ').unwrap();
        let again = program().in_folder(folder.path()).args(options).run();
        assert_eq!(again.code(), found.code(), "{what}\n{again}");
        assert_eq!(panic_of(&again), panic_of(&found), "{what}\n{again}");
        let (mended, _) = self.explore(TWIN, true);
        mended.expect_code(0);
    }
}

/// The line that reports a program's panic or a failed check, if there is one.
fn panic_of(run: &Finished) -> Option<&str> {
    run.stderr
        .lines()
        .find(|line| line.contains("panicked at") || line.contains("check failed"))
}

fn check_rust(bugs: &[(&'static str, u32)]) {
    if !has_rust_target() {
        return;
    }
    for &(name, seed) in bugs {
        let bug = Bug {
            module: RUST.clone(),
            name: Some(name),
            seed,
            options: "",
        };
        bug.check();
    }
}

#[test]
fn c_programs() {
    for (name, seed, options) in [
        ("zoo_futex_mutex", 0, ""),
        ("zoo_condvar_sequence", 0, ""),
        ("zoo_loop_variable", 0, ""),
        ("zoo_plain_counter", 60, "--preempt accesses"),
        ("zoo_plain_publish", 60, "--preempt accesses"),
    ] {
        let guest = Guest::compiled(&format!("tests/zoo/c/{name}.c"));
        let bug = Bug {
            module: guest.path().to_owned(),
            name: None,
            seed,
            options,
        };
        bug.check();
    }
}

#[test]
fn values_that_change_in_between() {
    check_rust(&[
        ("aba", 0),
        ("channel_close", 0),
        ("check_then_act", 0),
        ("double_checked", 0),
        ("double_init", 0),
        ("drop_order", 0),
        ("hazard_pointer", 0),
        ("lost_update", 0),
        ("narrow_window", 500),
        // The replay file must be of the same run even if a thread comes to a point for another
        // reason.
        ("refcount", 0),
        ("ring_publish", 0),
        ("seqlock", 400),
        ("size_then_get", 100),
        ("stale_index", 0),
        ("timeout_race", 0),
    ]);
}

#[test]
fn locks_and_condition_variables() {
    check_rust(&[
        ("bakery", 900),
        ("barrier_reuse", 0),
        ("condvar_if", 0),
        ("lock_order_2", 0),
        ("lock_order_3", 100),
        ("missed_wakeup", 0),
        ("nested_monitor", 0),
        ("notify_one", 0),
        ("one_condvar", 0),
        ("peterson", 900),
        ("pool_shutdown", 0),
        ("reader_upgrade", 0),
        ("semaphore", 0),
        ("stop_before_start", 0),
        ("waker_race", 0),
    ]);
}
