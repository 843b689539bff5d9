//! Data races: `--races`.

use integration_tests::{Finished, Guest, Input, Program};

use crate::program;

/// The cases of `tests/guests/races.c` that these seeds find, each with a function that is in the
/// report.
const CASES: [(&str, &str); 29] = [
    ("lost_update", "increment"),
    ("one_path", "increment"),
    ("wrong_lock", "increment"),
    ("after_unlock", "look"),
    ("plain_unlock", "plain_release"),
    ("write_as_reader", "increment"),
    ("predicate_unlocked", "set_ready"),
    ("reference_count", "drop_owner"),
    ("plain_flag", "publish_plainly"),
    ("write_behind_flag", "write_data"),
    ("store_hides", "read_data"),
    ("lazy", "make"),
    ("double_checked", "make"),
    ("ring_index", "advance"),
    ("before_join", "use"),
    ("no_barrier", "sum_halves"),
    ("loop_variable", "next"),
    ("stack_is_gone", "number_of"),
    ("bit_fields", "set_low"),
    ("mixed_sizes", "read_word"),
    ("mixed_atomic", "plain_events"),
    ("overlap", "set_unaligned"),
    ("copy_and_store", "store_one"),
    ("fill_and_load", "load_one"),
    ("read_freed", "write_cell"),
    ("freed_read", "read_block"),
    ("freed_write", "write_block"),
    ("host_write", "fd_read"),
    ("host_read", "fd_write"),
];
/// Seeds under which a race must be found, and those under which a program without one must not
/// have any.
const SEEDS: u64 = 5;

fn case(options: &str, case: &str) -> Program {
    program()
        .args(options)
        .guest(&Guest::c("races"))
        .arg(case)
        .input(Input::Bytes(b"what is read".to_vec()))
}

fn raced(run: &Finished) -> bool {
    run.stderr.contains("WARNING: data race")
}

#[test]
fn every_race_is_told() {
    let guest = Guest::c("races");
    for (name, function) in CASES {
        let runs: Vec<Finished> = (0..SEEDS)
            .map(|seed| format!("--races=no-stacks --schedule random:{seed}"))
            .map(|options| case(&options, name).run())
            .collect();
        let found = runs.iter().find(|run| raced(run));
        let found = found.unwrap_or_else(|| panic!("{name} of {guest:?}: no race"));
        assert!(found.stderr.contains(function), "{name}: {}", found.stderr);
        assert_eq!(found.code(), 66, "{name}: {}", found.stderr);
    }
}

#[test]
fn no_mended_program_has_one() {
    for (name, _) in CASES {
        for seed in 0..SEEDS {
            let options = format!("--races=no-stacks --schedule random:{seed}");
            let run = case(&options, name).arg("mended").run();
            assert!(!raced(&run), "{name}, seed {seed}: {}", run.stderr);
            run.expect_code(0);
        }
    }
}

/// The earlier access and the threads' beginnings are found by a second run.
#[test]
fn both_stacks_are_told_with_files_and_lines() {
    let seeds = (0..SEEDS).map(|seed| format!("--races --schedule random:{seed}"));
    let runs = seeds.map(|options| case(&options, "one_path").run());
    let run = runs.into_iter().find(raced).unwrap();
    let report = &run.stderr;
    for text in [
        " of 4 bytes at 0x",
        "Previous ",
        "count_locked",
        "count_unlocked",
        "increment",
        "races/locks.h:",
        "was created by the main thread:",
        "thread_start",
        "SUMMARY: data race ",
        "data races: 1 told",
    ] {
        assert!(report.contains(text), "{text} is missing: {report}");
    }
    assert!(!report.contains("not known"), "{report}");
}

/// The block that a race is in, with where it came from. It is given back before or after the other
/// access, as the seed says.
#[test]
fn a_race_with_a_free_names_the_block() {
    for (name, before, after) in [
        (
            "freed_read",
            "free of memory that is read",
            "read of freed memory",
        ),
        (
            "freed_write",
            "free of memory that is written",
            "write of freed memory",
        ),
    ] {
        for seed in 0..SEEDS {
            let options = format!("--races --schedule random:{seed}");
            let run = case(&options, name).run().expect_code(66);
            let report = &run.stderr;
            let said = [before, after].map(|text| format!("WARNING: data race: {text}\n"));
            assert!(said.iter().any(|text| report.contains(text)), "{report}");
            for text in [
                "ree of 24 bytes at 0x",
                " is 16 bytes into a block of 24 bytes at 0x",
                ", allocated by the main thread:",
                "make_block",
                "drop_block",
                "data races: 1 told",
            ] {
                assert!(report.contains(text), "{text} is missing: {report}");
            }
            assert!(!report.contains("not known"), "{report}");
        }
    }
}

/// The allocator of Rust's programs is wasi-libc's.
#[test]
fn blocks_of_a_rust_program_are_named() {
    if !integration_tests::has_rust_target() {
        return;
    }
    let module = crate::toolchains::rust_guest("freed");
    let run = |seed: u64| {
        let options = format!("--races --schedule random:{seed}");
        program().args(&options).arg(&module)
    };
    for seed in 0..SEEDS {
        let told = run(seed).run().expect_code(66).without_hashes();
        told.expect_stderr(&[
            " is 72 bytes into a block of 160 bytes at 0x",
            "freed::read",
            "freed::give_back",
            "freed::main",
        ]);
    }
    for seed in 0..SEEDS {
        let run = run(seed).arg("mended").run().expect_code(0);
        assert!(!raced(&run), "{}", run.stderr);
    }
}

/// Only the first run writes outputs. The second one would write a second trace to a FIFO's reader,
/// or wait for a reader.
#[test]
#[cfg(unix)]
fn the_second_run_writes_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let made = std::process::Command::new("mkfifo").arg(&trace).status();
    assert!(made.unwrap().success());
    let options = format!("--races --schedule random:1 --trace {}", trace.display());
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || sender.send(std::fs::read_to_string(trace)));
    let run = case(&options, "lost_update").run();
    assert!(
        run.stderr.contains("Previous ") && run.stderr.contains("was created by the main thread:")
    );
    assert!(!run.stderr.contains("not known"), "{run}");
    let read = receiver.recv_timeout(std::time::Duration::from_secs(60));
    let read = read.unwrap().unwrap();
    assert_eq!(read.matches("traceEvents").count(), 1);
}

#[test]
fn lists_and_the_status_are_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("races.supp");
    let racy = |options: &str| {
        let options = format!("--races=no-stacks,{options} --schedule random:1");
        case(&options, "mixed_atomic").run()
    };
    assert!(raced(&racy("exit=0").expect_code(0)));
    assert!(raced(&racy("exit=7").expect_code(7)));
    let suppress = format!("suppress={}", list.display());
    std::fs::write(&list, "# known\nrace_top:^plain_events$\n").unwrap();
    assert!(!raced(&racy(&suppress).expect_code(0)));
    std::fs::write(&list, "harmless file:/bytes.h\n").unwrap();
    let run = racy(&suppress).expect_code(0);
    run.expect_stderr(&[
        "data race, harmless by `harmless file:/bytes.h`",
        "1 of them harmless",
    ]);
    std::fs::write(&list, "racy:x\n").unwrap();
    let run = racy(&suppress).expect_code(1);
    run.expect_stderr(&["cannot be read", "line 1: `racy:x` is no rule"]);
}

#[test]
fn what_does_not_go_with_races_is_refused() {
    for (line, text) in [
        (
            "--races --explore 3",
            "`--explore` and `--races` do not go together",
        ),
        (
            "--races --schedule pos --verify",
            "`--schedule` and `--races` do not go together",
        ),
        ("--races --preload a=b", "do not go together"),
        (
            "--races=parallel --preload a=b",
            "`--races` and `--preload` do not go together",
        ),
        (
            "--races=parallel --schedule pos",
            "`--schedule` and `--races=parallel` do not go together",
        ),
        ("--races=parallel --verify", "`--verify` needs a schedule"),
        ("--races=whim", "`whim` is not known"),
        ("--races=exit=300", "`300` is no status"),
    ] {
        let run = program().args(line).guest(&Guest::c("races")).run();
        run.expect_code(2).expect_stderr(&[text]);
    }
}

/// A reader that discards what was written meanwhile, and one that does not check.
#[test]
fn a_race_of_a_sequence_lock_is_told_as_one() {
    let mut found = 0;
    for seed in 0..SEEDS {
        let options = format!("--races --schedule random:{seed}");
        let run = case(&options, "sequence_lock").run().expect_code(0);
        if raced(&run) {
            found += 1;
            run.expect_stderr(&[
                "WARNING: data race, harmless in practice: a sequence lock's, as it seems",
                "Each time, the reader looked at 0x",
                "1 told, 1 of them harmless",
            ]);
            let options = format!("--races=strict,no-stacks --schedule random:{seed}");
            case(&options, "sequence_lock").run().expect_code(66);
        }
        let run = case(&options, "sequence_unchecked").run();
        assert!(!run.stderr.contains("harmless"), "{}", run.stderr);
        let expected = if raced(&run) { 66 } else { 0 };
        run.expect_code(expected);
    }
    assert!(found > 0);
}

/// Each of these races in any order of its threads.
#[test]
fn threads_that_run_at_once_are_looked_at() {
    for (name, function) in [
        ("lost_update", "increment"),
        ("reference_count", "drop_owner"),
        ("wrong_lock", "increment"),
        ("mixed_atomic", "plain_events"),
        ("bit_fields", "set_low"),
        ("copy_and_store", "store_one"),
        ("stack_is_gone", "number_of"),
        ("host_write", "fd_read"),
        ("host_read", "fd_write"),
    ] {
        let run = case("--races=parallel", name).run();
        assert!(raced(&run), "{name}: {}", run.stderr);
        run.expect_code(66).expect_stderr(&[
            function,
            "[who called it is not known]",
            "note: the threads ran at once",
        ]);
    }
}

#[test]
fn at_once_no_mended_program_has_a_race() {
    for (name, _) in CASES {
        let run = case("--races=parallel", name).arg("mended").run();
        assert!(!raced(&run), "{name}: {}", run.stderr);
        run.expect_code(0);
    }
    let run = program()
        .args("--races=parallel")
        .guest(&Guest::c("mutex_condvar"));
    let run = run.arg("4").arg("3").run().expect_code(0);
    assert!(!raced(&run), "{}", run.stderr);
}

/// Threads that meet through a mutex and a condition variable of their own.
#[test]
fn a_correct_program_has_none() {
    for seed in 0..SEEDS {
        let options = format!("--races --schedule random:{seed}");
        let run = program().args(&options).guest(&Guest::c("mutex_condvar"));
        let run = run.arg("4").arg("3").run().expect_code(0);
        assert!(!raced(&run), "{}", run.stderr);
    }
}
