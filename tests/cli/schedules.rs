//! Runs whose threads take turns: `--schedule`, `--save`, `--replay` and what goes with them.

use std::path::Path;

use crate::program;
use integration_tests::{Finished, Guest, Program, TRAPPED};

/// Seeds of `random` that are tried.
const SEEDS: u64 = 60;

fn scheduled(schedule: &str, guest: &str) -> Program {
    program()
        .args("--schedule")
        .arg(schedule)
        .guest(&Guest::wat(guest))
}

/// The first seed with this status.
fn first(policy: &str, guest: &str, options: &str, status: i32) -> Option<String> {
    (0..SEEDS)
        .map(|seed| format!("{policy}:{seed}"))
        .find(|schedule| {
            let run = program().args(options).args("--schedule").arg(schedule);
            run.guest(&Guest::wat(guest)).run().code() == status
        })
}

fn replay(file: &Path, guest: &str) -> Finished {
    program()
        .args("--replay")
        .arg(file)
        .guest(&Guest::wat(guest))
        .run()
}

#[test]
fn a_seed_is_one_run() {
    let run = |schedule: &str| {
        scheduled(schedule, "repeatable")
            .run()
            .expect_code(0)
            .stdout
    };
    for schedule in ["random:1", "pct:3:1", "pos:1"] {
        let one = run(schedule);
        assert!(!one.is_empty());
        assert_eq!(one, run(schedule), "{schedule}");
    }
    // Random numbers are the seed's.
    assert_ne!(run("random:1"), run("random:2"));
    assert_eq!(run("round-robin"), run("round-robin:1000"));
}

#[test]
fn every_policy_finds_a_lost_update() {
    for policy in ["random", "pct:2", "pos"] {
        assert!(first(policy, "lost_update", "", 3).is_some(), "{policy}");
    }
}

#[test]
fn plain_accesses_are_points_if_they_are_asked_for() {
    let option = "--preempt accesses";
    assert!(first("random", "plain_update", option, 3).is_some());
    assert_eq!(first("pos", "plain_update", "", 3), None);
}

#[test]
fn a_deadlock_is_told() {
    let schedule = first("random", "lock_order", "", TRAPPED).unwrap();
    let run = scheduled(&schedule, "lock_order")
        .run()
        .expect_code(TRAPPED);
    run.expect_stderr(&["is stuck: all its threads wait for one another"]);
}

#[test]
fn a_saved_run_is_replayed() {
    let folder = tempfile::tempdir().unwrap();
    for policy in ["random", "pct:2", "pos"] {
        let schedule = first(policy, "lost_update", "", 3).unwrap();
        let file = folder.path().join("run.replay");
        let run = program()
            .args("--schedule")
            .arg(&schedule)
            .args("--save")
            .arg(&file);
        let run = run.guest(&Guest::wat("lost_update")).run().expect_code(3);
        let last = run.stderr.lines().last().unwrap();
        assert!(last.starts_with("replay: "), "{last}");
        for word in ["--replay", "run.replay", "lost_update.wat"] {
            assert!(last.contains(word), "{last}");
        }
        for _ in 0..5 {
            replay(&file, "lost_update").expect_code(3);
        }
    }
}

#[test]
fn a_replay_of_another_run_stops() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run.replay");
    let schedule = first("random", "lost_update", "", 3).unwrap();
    let run = program()
        .args("--schedule")
        .arg(&schedule)
        .args("--save")
        .arg(&file);
    run.guest(&Guest::wat("lost_update")).run().expect_code(3);

    // Of another module, with other arguments.
    let run = replay(&file, "lock_order").expect_code(125);
    run.expect_stderr(&["is of another run", "module"]);
    let more = program()
        .args("--replay")
        .arg(&file)
        .guest(&Guest::wat("lost_update"));
    more.arg("more")
        .run()
        .expect_code(125)
        .expect_stderr(&["differs: arguments"]);

    // Other decisions.
    let text = std::fs::read_to_string(&file).unwrap();
    let other = text.replacen(r#""point":"#, r#""point":9"#, 1);
    std::fs::write(&file, other).unwrap();
    let run = replay(&file, "lost_update").expect_code(125);
    run.expect_stderr(&["diverged at decision 1: expected thread", "found"]);

    // No replay file any more.
    let cut: String = text
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(&file, cut).unwrap();
    let run = replay(&file, "lost_update").expect_code(1);
    run.expect_stderr(&["cannot be replayed", "line 3: the file is cut short"]);
}

#[test]
fn points_are_bounded() {
    let run = program().args("--max-points 10000 --schedule random:1");
    let run = run.guest(&Guest::wat("never_ends")).run().expect_code(124);
    run.expect_stderr(&["has not ended after 10000 points"]);
}

#[test]
fn a_seed_that_was_drawn_is_told() {
    let run = scheduled("random", "lost_update").run();
    let note = run.stderr.lines().next().unwrap();
    let schedule = note.strip_prefix("note: the schedule is ").unwrap();
    let status = run.code();
    scheduled(schedule, "lost_update").run().expect_code(status);
}

#[test]
fn what_does_not_go_together_is_refused() {
    for (line, text) in [
        ("--schedule pos --replay x", "cannot be used with"),
        ("--schedule pos --explore 3", "cannot be used with"),
        ("--replay x --explore 3", "cannot be used with"),
        ("--schedule whim", "`whim` is no policy"),
        ("--schedule pct", "pct needs a depth"),
        ("--explore 0", "at least one seed is explored"),
        ("--save x", "`--save` needs a schedule"),
        ("--max-points 5", "`--max-points` needs a schedule"),
        ("--preempt loops", "`--preempt` needs a schedule"),
        ("--verify", "`--verify` needs a schedule"),
        ("--schedule pos --max-points 0", "must be at least 1"),
        (
            "--schedule pos -W fuel=5",
            "`--schedule` and `-W fuel` do not go together",
        ),
        (
            "--schedule pos --preload a=b",
            "`--schedule` and `--preload` do not go together",
        ),
        (
            "--schedule pos -S tcplisten=127.0.0.1:0",
            "do not go together",
        ),
    ] {
        let run = program().args(line).guest(&Guest::wat("lost_update")).run();
        run.expect_code(2).expect_stderr(&[text]);
    }
}

/// Without a schedule an hour is an hour.
#[test]
fn without_a_schedule_time_is_the_hosts() {
    let run = program()
        .args("--timeout 100ms")
        .guest(&Guest::wat("repeatable"))
        .run();
    run.expect_code(TRAPPED);
}

/// What comes through a FIFO is another process's. (Windows has none.)
#[test]
#[cfg(unix)]
fn what_depends_on_the_host_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path().join("fifo"))
        .status();
    assert!(made.unwrap().success());
    let run = program().args("--schedule pos:1 --dir").arg(folder.path());
    let run = run.guest(&Guest::wat("open_fifo")).run().expect_code(123);
    run.expect_stderr(&["is not reproducible: a FIFO was used"]);
}
