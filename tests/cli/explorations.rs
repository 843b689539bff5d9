//! Many runs: `--explore` and `--verify`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::program;
use crate::toolchains::rust_guest;
use integration_tests::{Finished, Guest, Input, Program, TRAPPED, has_rust_target, repository};

fn explore(option: &str, guest: &str, folder: &Path) -> Program {
    program()
        .in_folder(folder)
        .args("--explore")
        .arg(option)
        .guest(&Guest::wat(guest))
}

/// The command that the last line says, as it was written for a shell.
fn pasted(run: &Finished, folder: &Path) -> Program {
    let last = run.stderr.lines().last().unwrap();
    let command = last.strip_prefix("replay: ").unwrap();
    let (_, options) = command.split_once(' ').unwrap();
    program().in_folder(folder).args(options)
}

#[test]
fn what_fails_is_found_minimised_and_replayed() {
    let folder = tempfile::tempdir().unwrap();
    for (guest, policy, status) in [
        ("lost_update", "random", 3),
        ("lost_update", "pct:2", 3),
        ("lost_update", "pos", 3),
        ("lock_order", "random", TRAPPED),
    ] {
        let option = format!("1000,policy={policy}");
        let run = explore(&option, guest, folder.path())
            .run()
            .expect_code(status);
        assert!(run.stderr.contains("minimised to "), "{}", run.stderr);
        assert!(
            run.stderr.contains("(none can be left out)"),
            "{}",
            run.stderr
        );
        let file = folder.path().join(format!("{guest}.replay"));
        let decisions = std::fs::read_to_string(file).unwrap().lines().count() - 2;
        assert!((1..=3).contains(&decisions), "{}", run.stderr);
        for _ in 0..3 {
            pasted(&run, folder.path()).run().expect_code(status);
        }
    }
}

/// The line was refused: a bound that it names stood before `run`.
#[test]
fn the_line_of_an_explicit_run_can_be_pasted() {
    let folder = tempfile::tempdir().unwrap();
    let run = program()
        .in_folder(folder.path())
        .args("run --explore 1000");
    let found = run.guest(&Guest::wat("lost_update")).run().expect_code(3);
    let line = found.stderr.lines().last().unwrap();
    assert!(line.contains(" run --max-points="), "{found}");
    pasted(&found, folder.path()).run().expect_code(3);
}

/// The lowest seed that fails does not depend on the number of jobs.
#[test]
fn the_result_is_the_same_with_any_number_of_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let told = |jobs: u32| {
        let option = format!("1000,jobs={jobs},seed=7");
        explore(&option, "lost_update", folder.path())
            .run()
            .expect_code(3)
            .stderr
    };
    let one = told(1);
    assert_eq!(one, told(3));
}

#[test]
fn what_does_not_fail_is_said_not_to() {
    let folder = tempfile::tempdir().unwrap();
    let run = explore("50", "repeatable", folder.path())
        .run()
        .expect_code(0);
    let last = run.stderr.lines().last();
    assert_eq!(last, Some("explored 50 schedules, none failed"));
    // The first run's output, and that once.
    assert!(!run.stdout.is_empty());
    assert!(!folder.path().join("repeatable.replay").exists());
}

#[test]
fn each_distinct_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = explore("100,all", "lost_update", folder.path())
        .run()
        .expect_code(3);
    assert!(
        run.stderr.contains("explored 100 schedules"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains(" more: status 3"), "{}", run.stderr);
}

#[test]
fn what_never_ends_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let run = program()
        .in_folder(folder.path())
        .args("--max-points 5000 --explore 3");
    let run = run.guest(&Guest::wat("never_ends")).run().expect_code(124);
    assert!(run.stderr.contains("too many points"), "{}", run.stderr);
    pasted(&run, folder.path()).run().expect_code(124);
}

/// Standard input is read once, and every run finds all of it.
#[test]
fn every_run_finds_the_same_input() {
    let folder = tempfile::tempdir().unwrap();
    let run = explore("5", "cat", folder.path()).input(Input::Bytes(b"some\nlines\n".to_vec()));
    assert_eq!(run.run().expect_code(0).stdout, "some\nlines\n");
}

#[test]
fn two_runs_of_a_seed_are_compared() {
    for schedule in ["random:5", "pct:3:5", "pos:5", "round-robin:2"] {
        let run = program()
            .args("--verify --schedule")
            .arg(schedule)
            .guest(&Guest::wat("lock_order"));
        let run = run.run();
        assert!(
            run.stderr.contains("two runs are the same: "),
            "{schedule}: {}",
            run.stderr
        );
    }
}

#[test]
fn what_does_not_go_with_many_runs_is_refused() {
    for (line, text) in [
        (
            "--explore 3 --verify",
            "`--explore` and `--verify` do not go together",
        ),
        (
            "--schedule pos:1 --explore-shared --dir .",
            "`--schedule` and `--explore-shared` do not go together",
        ),
        ("--explore 3 --show", "cannot be used with"),
        (
            "--schedule-start 2026-01-01",
            "`--schedule-start` needs a schedule",
        ),
        ("--schedule-early 1s", "`--schedule-early` needs a schedule"),
        (
            "--explore 3 --schedule-allow nothing",
            "expected socket, fifo, device",
        ),
        ("--explore 3,policy=round-robin", "has no seed to explore"),
    ] {
        let run = program().args(line).guest(&Guest::wat("lost_update")).run();
        run.expect_code(2).expect_stderr(&[text]);
    }
}

/// A test that gives another thread an hour fails, as no clock bounds how slow that is. The report
/// says how to bound it.
#[test]
fn a_timeout_of_an_hour_comes_early_unless_that_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let guest = folder.path().join("patient.wat");
    std::fs::copy(Guest::wat("patient").path(), &guest).unwrap();
    let run = |options: &str| {
        let program = program().in_folder(folder.path()).args(options);
        program.arg(&guest).run()
    };
    let note = "note: a timeout comes early; `--schedule-early=10ms` bounds that to 10 ms";
    let failed = run("--explore 200").expect_code(9);
    assert!(failed.stderr.contains(note), "{failed}");
    pasted(&failed, folder.path()).run().expect_code(9);
    for bound in ["10ms", "0s", "3599s"] {
        run(&format!("--explore 200 --schedule-early={bound}")).expect_code(0);
    }
    // One that is wide enough. A replay has no use for it: the file says which timeouts come early.
    let failed = run("--explore 200 --schedule-early 3600s").expect_code(9);
    assert!(!failed.stderr.contains("note: a timeout"), "{failed}");
    pasted(&failed, folder.path()).run().expect_code(9);
    let both = run("--replay patient.replay --schedule-early 1s").expect_code(2);
    both.expect_stderr(&["`--replay` and `--schedule-early` do not go together"]);
}

/// What was held back and could not be written was once lost, with status 0.
#[test]
#[cfg(target_os = "linux")]
fn output_that_cannot_be_written_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for what in ["--explore 3", "--schedule random:1 --verify"] {
        let run = Command::new("bash")
            .args(["-c", &format!("\"$0\" {what} \"$1\" > /dev/full")])
            .arg(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .arg(repository().join("tests/guests/repeatable.wat"))
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1), "{what}: {run:?}");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(said.contains("stdout cannot be written"), "{what}: {said}");
    }
}

/// Each run finds the folder as it was, and so does a look at it afterwards.
#[test]
fn every_run_has_a_copy_of_a_folder_that_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    // Fails where its file is there already.
    let guest = folder.path().join("create.wat");
    let text = r#"(module
        (import "wasi_snapshot_preview1" "path_open"
          (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "file")
        (func (export "_start")
          (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 8) (i32.const 4)
            (i32.const 5) (i64.const 64) (i64.const 64) (i32.const 0) (i32.const 0)))))"#;
    std::fs::write(&guest, text).unwrap();
    let run = |options: &str| {
        let program = program().in_folder(folder.path()).args(options);
        program.args("--dir data").arg(&guest).run()
    };
    run("--explore 20,jobs=2").expect_code(0);
    run("--schedule pos:1 --verify").expect_code(0);
    assert!(!data.join("file").exists());
    // EEXIST, in the second run.
    let shared = run("--explore 20,jobs=1 --explore-shared").expect_code(20);
    assert!(data.join("file").exists(), "{shared}");
    std::fs::remove_file(data.join("file")).unwrap();
    // One run by a schedule is a run; its replay leaves the folder alone.
    run("--schedule pos:1 --save run.replay").expect_code(0);
    std::fs::remove_file(data.join("file")).unwrap();
    for _ in 0..2 {
        run("--replay run.replay").expect_code(0);
    }
    assert!(!data.join("file").exists());
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    // The guest, its folder, and two runs that were saved.
    assert_eq!(left, 4);
}

/// A process that is killed when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A search that is killed cannot remove its copies of folders. The next one does; those of a
/// search that is alive stay.
#[test]
#[cfg(target_os = "linux")]
fn copies_that_a_killed_search_has_left_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let [data, temporary] = ["data", "temporary"].map(|name| folder.path().join(name));
    for folder in [&data, &temporary] {
        std::fs::create_dir(folder).unwrap();
    }
    // The copies of each search: it has some once a job has made them.
    let copies = || {
        let entries = std::fs::read_dir(&temporary).unwrap();
        let folders = entries.map(|entry| entry.unwrap().path());
        let made = |path: &PathBuf| path.join("lock").exists() && path.join("0/0").exists();
        folders.filter(made).collect::<Vec<_>>()
    };
    let search = || {
        let before = copies();
        let guest = Guest::wat("never_ends");
        let search = Command::new(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .args(["--explore", "1,jobs=1", "--max-points=1000000000000"])
            .args(["--dir", "data"])
            .arg(guest.path())
            .current_dir(folder.path())
            .env("TMPDIR", &temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let search = Killed(search);
        let began = Instant::now();
        while copies().iter().all(|one| before.contains(one)) {
            let late = began.elapsed() > Duration::from_secs(120);
            assert!(!late, "nothing is copied");
            std::thread::sleep(Duration::from_millis(5));
        }
        search
    };
    let killed = search();
    let left = copies();
    drop(killed);
    assert_eq!(copies(), left);
    let alive = search();
    assert!(!left[0].exists(), "{:?}", copies());
    // A whole search beside it.
    let other = program().in_folder(folder.path());
    let other = other
        .env("TMPDIR", &temporary)
        .args("--explore 3 --dir data");
    other.guest(&Guest::wat("repeatable")).run().expect_code(0);
    assert_eq!(copies().len(), 1);
    // One that copies nothing has no such folder, and removes none.
    let none = program().in_folder(folder.path());
    let none = none.env("TMPDIR", &temporary).args("--explore 3");
    drop(alive);
    none.guest(&Guest::wat("repeatable")).run().expect_code(0);
    assert_eq!(copies().len(), 1);
}

/// As rustc compiles them, with all that the standard library does around it.
#[test]
fn a_lost_update_of_a_rust_program_is_found() {
    if !has_rust_target() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let search = |option: &str, name: &str| {
        let program = program().in_folder(folder.path());
        let program = program.args("--explore").arg(option);
        program.arg(rust_guest(name)).run()
    };
    // At which seed is a matter of the compiler's as well.
    let found = search("2000,policy=pos", "lost_update").expect_code(TRAPPED);
    assert!(found.stderr.contains("an update was lost"), "{found}");
    let again = pasted(&found, folder.path()).run().expect_code(TRAPPED);
    assert!(again.stderr.contains("an update was lost"), "{again}");
    search("300,policy=pos", "kept_update").expect_code(0);
}

#[test]
fn a_rust_program_prints_the_same_whatever_its_folder_is_called() {
    if !has_rust_target() {
        return;
    }
    let module = rust_guest("meetings");
    let mut first = None;
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let mut dir = folder.path().as_os_str().to_owned();
        dir.push("::.");
        let program = program().args("--schedule random:12 --dir").arg(dir);
        let run = program.arg(&module).run().expect_code(0);
        let first = first.get_or_insert_with(|| run.stdout.clone());
        assert_eq!(&run.stdout, first);
    }
    assert!(first.is_some_and(|first| first.lines().count() > 8));
}
