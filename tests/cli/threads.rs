//! Programs with threads: what they share, and how many they may be.

use crate::program;
use integration_tests::{Finished, Guest};

#[track_caller]
fn check_turns(run: &Finished, threads: usize, rounds: usize) {
    let turns = threads * rounds;
    let lines: Vec<&str> = run.stdout.lines().collect();
    assert_eq!(lines.len(), turns + 1, "{run}");
    for (turn, line) in lines[..turns].iter().enumerate() {
        let (thread, round) = (turn % threads, turn / threads);
        let whole = format!(
            "turn {turn}: thread {thread}, round {round}, abcdefghijklmnopqrstuvwxyz0123456789"
        );
        assert_eq!(*line, whole);
    }
    assert_eq!(lines[turns], format!("done: {turns} turns"));
}

/// 8 threads take turns through one mutex and one condition variable.
#[test]
fn mutex_and_condition_variable() {
    let guest = Guest::c("mutex_condvar");
    for _ in 0..100 {
        let run = program().guest(&guest).args("8 20").run().expect_code(0);
        check_turns(&run, 8, 20);
    }
}

/// 8 threads write to stdout at once: every line whole, each thread's in order.
#[test]
fn no_line_is_torn_or_lost() {
    const LINES: usize = 200;
    let guest = Guest::c("torn");
    for _ in 0..100 {
        let run = program()
            .guest(&guest)
            .args(&format!("8 {LINES}"))
            .run()
            .expect_code(0);
        let mut next = [0; 8];
        for line in run.stdout.lines() {
            let thread = usize::from(line.as_bytes()[8] - b'0');
            let whole = format!(
                "<thread {thread} line {:05} the quick brown fox jumps over the lazy dog>",
                next[thread]
            );
            assert_eq!(line, whole);
            next[thread] += 1;
        }
        assert_eq!(next, [LINES; 8], "{run}");
    }
}

/// 8 threads in one folder: their own files, and one that all append to.
#[test]
fn files_and_a_shared_log() {
    let folder = tempfile::tempdir().unwrap();
    let (files, records) = (1000, 10_000);
    let run = program()
        .arg("--dir")
        .arg(folder.path())
        .guest(&Guest::c("files"))
        .args(&format!("8 {files} {records}"))
        .run()
        .expect_code(0);
    // What the guest found ...
    assert_eq!(
        run.stdout,
        format!("files: {}, records: {}\n", 8 * files, 8 * records)
    );
    // ... and what is there.
    let entries = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(entries, 8 * files + 1);
    let log = std::fs::read_to_string(folder.path().join("shared.log")).unwrap();
    let mut lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 8 * records);
    assert!(lines.iter().all(|line| line.len() == 63));
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 8 * records, "a record is there twice");
}

#[test]
fn five_thousand_spawns_in_a_row() {
    let run = program()
        .guest(&Guest::c("spawns"))
        .args("row 5000")
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "row 5000: ok\n");
}

#[test]
fn five_hundred_threads_at_once() {
    let run = program()
        .guest(&Guest::c("spawns"))
        .args("once 500")
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "once 500: ok\n");
}

/// More spawns in a row than threads may be alive: each waits for the one before.
#[test]
fn a_limit_does_not_fail_spawns_in_a_row() {
    let run = program()
        .args("--max-threads 1")
        .guest(&Guest::c("spawns"))
        .args("row 1000")
        .run()
        .expect_code(0);
    assert_eq!(run.stdout, "row 1000: ok\n");
}

/// At the limit the guest gets EAGAIN (6), negative.
#[test]
fn the_limit_holds() {
    program()
        .args("--max-threads 10")
        .guest(&Guest::c("spawns"))
        .args("once 11")
        .run()
        .expect_code(100)
        .expect_stderr(&["spawn 10: -6"]);
}
