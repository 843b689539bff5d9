//! Many runs: `--explore` and `--verify`.

use std::path::Path;

use crate::program;
use integration_tests::{Finished, Guest, Input, Program};

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
        ("lock_order", "random", 134),
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
        ("--explore 3 --dir .", "a folder that can be written"),
        ("--explore 3,policy=round-robin", "has no seed to explore"),
    ] {
        let run = program().args(line).guest(&Guest::wat("lost_update")).run();
        run.expect_code(2).expect_stderr(&[text]);
    }
}
