//! Which thread accessed what: behind a failure, where it is asked for, and counted.

use std::path::Path;

use crate::program;
use crate::toolchains::rust_guest;
use integration_tests::{Finished, Guest, TRAPPED, has_rust_target};

/// The lines of the interleaving.
fn shown(run: &Finished) -> Vec<&str> {
    let lines = run.stderr.lines();
    let behind = lines.skip_while(|line| !line.starts_with("interleaving ("));
    let shown = behind.skip(1).map_while(|line| line.strip_prefix("  "));
    shown.collect()
}

/// Thread and operation of the accesses to this address.
fn accesses<'a>(lines: &[&'a str], address: &str) -> Vec<(&'a str, &'a str)> {
    let lines = lines.iter().filter_map(|line| {
        let (thread, rest) = line.strip_prefix("thread ")?.split_once(": ")?;
        let (operation, rest) = rest.split_once(" at ")?;
        rest.starts_with(&format!("{address}, "))
            .then_some((thread, operation))
    });
    lines.collect()
}

/// Both threads have loaded before either stores.
fn assert_lost(lines: &[&str], address: &str) {
    let accesses = accesses(lines, address);
    let threads: Vec<_> = accesses
        .iter()
        .filter(|(thread, _)| *thread != "0")
        .collect();
    let loads = threads.iter().take(2);
    assert!(
        loads.clone().all(|(_, op)| *op == "atomic load"),
        "{lines:#?}"
    );
    assert_ne!(threads[0].0, threads[1].0, "{lines:#?}");
    let stores = threads.iter().skip(2).take(2);
    assert_eq!(stores.clone().count(), 2, "{lines:#?}");
    assert!(
        stores.clone().all(|(_, op)| *op == "atomic store"),
        "{lines:#?}"
    );
}

fn explore(option: &str, guest: &str, folder: &Path) -> Finished {
    program()
        .in_folder(folder)
        .args("--explore")
        .arg(option)
        .guest(&Guest::wat(guest))
        .run()
}

#[test]
fn a_failure_is_shown_as_it_came() {
    let folder = tempfile::tempdir().unwrap();
    for policy in ["random", "pct:2", "pos"] {
        let option = format!("1000,policy={policy}");
        let run = explore(&option, "lost_update", folder.path()).expect_code(3);
        let lines = shown(&run);
        assert!((4..=20).contains(&lines.len()), "{run}");
        assert_lost(&lines, "0x0");
        assert!(lines[0].contains(", 4 bytes, in function "), "{run}");
        let last = run.stderr.lines().last().unwrap();
        assert!(last.starts_with("replay: "), "{run}");
        // The replayed run, which is asked for it, says the same.
        let replay = program().in_folder(folder.path());
        let replay = replay.args("--max-points 10000000 --replay lost_update.replay --show");
        let replay = replay.guest(&Guest::wat("lost_update"));
        let replay = replay.run().expect_code(3);
        assert_eq!(shown(&replay), lines);
    }
}

#[test]
fn a_deadlock_is_shown_as_it_came_and_without_times() {
    let folder = tempfile::tempdir().unwrap();
    let run = explore("1000", "lock_order", folder.path()).expect_code(TRAPPED);
    let lines = shown(&run);
    assert!(!lines.is_empty(), "{run}");
    assert!(!run.stderr.contains("since"), "{run}");
    // The same text each time.
    let again = explore("1000", "lock_order", folder.path()).expect_code(TRAPPED);
    assert_eq!(again.stderr, run.stderr);
}

#[test]
fn as_many_lines_are_shown_as_are_asked_for() {
    let run = |show: &str| {
        program()
            .args("--schedule pos:1")
            .arg(show)
            .guest(&Guest::wat("lost_update"))
            .run()
    };
    let all = run("--show=1000");
    let whole = shown(&all).len();
    assert!(whole > 4, "{all}");
    let few = run("--show=3");
    let lines = shown(&few);
    let said = lines.iter().filter(|line| line.starts_with("thread "));
    assert_eq!(said.count(), 3, "{few}");
    assert!(lines.iter().any(|line| line.starts_with("... ")), "{few}");
    // Not asked for, it is not said; alone it means nothing.
    let none = program()
        .args("--schedule pos:1")
        .guest(&Guest::wat("lost_update"))
        .run();
    assert!(shown(&none).is_empty() && none.code() == few.code());
    let alone = program().args("--show").guest(&Guest::wat("lost_update"));
    alone
        .run()
        .expect_code(2)
        .expect_stderr(&["`--show` needs a schedule"]);
}

#[test]
fn functions_files_and_lines_are_those_of_the_program() {
    if !has_rust_target() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = program()
        .in_folder(folder.path())
        .args("--explore 2000,policy=pos")
        .arg(rust_guest("lost_update"))
        .run()
        .expect_code(TRAPPED);
    let lines = shown(&run);
    assert!(lines.len() <= 23, "{run}");
    let of = |line: u32| {
        let place = format!("lost_update.rs:{line}");
        let mut lines = lines.iter().filter(|shown| shown.contains(&place));
        lines.next().is_some()
    };
    assert!(of(9) || of(10), "{run}");
}

/// A mutex on a futex, with its functions and lines, and no library around it.
#[test]
fn those_of_a_c_program_have_its_functions() {
    let folder = tempfile::tempdir().unwrap();
    let guest = Guest::compiled("tests/zoo/c/zoo_futex_mutex.c");
    let run = program()
        .in_folder(folder.path())
        .args("--explore 3000,policy=pos")
        .guest(&guest)
        .run();
    assert!(matches!(run.code(), 100 | TRAPPED), "{run}");
    let lines = shown(&run);
    assert!((4..=22).contains(&lines.len()), "{run}");
    let accesses = lines.iter().filter(|line| line.starts_with("thread "));
    for line in accesses.clone() {
        assert!(line.contains(", 4 bytes, in "), "{run}");
    }
    for at in ["compare-exchange at ", "zoo_futex_mutex.c:"] {
        assert!(lines.iter().any(|line| line.contains(at)), "{at}: {run}");
    }
    // The same for the run that the last line names, if that run is asked for it.
    let line = run.stderr.lines().last().unwrap();
    let (_, options) = line
        .strip_prefix("replay: ")
        .unwrap()
        .split_once(' ')
        .unwrap();
    let again = program()
        .in_folder(folder.path())
        .args("--show")
        .args(options);
    let again = again.run().expect_code(run.code());
    assert_eq!(shown(&again), lines);
}

/// Allocator and thread starts would take most lines.
#[test]
fn what_libraries_do_for_themselves_is_left_out_and_counted() {
    if !has_rust_target() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let run = program()
        .in_folder(folder.path())
        .args("--schedule pos:1 --show=1000 --dir .")
        .arg(rust_guest("meetings"))
        .run()
        .expect_code(0);
    let lines = shown(&run);
    let (last, own) = lines.split_last().unwrap();
    let count = last.strip_prefix("left out: ");
    let count = count.and_then(|rest| rest.split(' ').next()?.parse::<u32>().ok());
    assert!(count.is_some_and(|count| count > 10), "{run}");
    assert!(own.len() > 10, "{run}");
    // There is no stack before another thread exists. Then only a function of the library may be
    // known.
    let of = |line: &&&str| line.contains("meetings.rs:");
    assert!(own.iter().filter(of).count() * 2 > own.len(), "{run}");
    for noise in ["dlmalloc", "malloc.c", "thread_start", "pthread_create"] {
        assert!(
            !own.iter().any(|line| line.contains(noise)),
            "{noise}: {run}"
        );
    }
}

#[test]
fn orders_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let told = |option: &str, guest: &str, code: i32| {
        let run = explore(option, guest, folder.path()).expect_code(code);
        let mut lines = run.stderr.lines();
        let orders = lines.find_map(|line| line.strip_prefix("orders of conflicting accesses: "));
        orders.map(|count| count.parse::<u64>().unwrap())
    };
    let one = told("60,all,orders,jobs=1", "lost_update", 3).unwrap();
    assert!((4..60).contains(&one), "{one}");
    assert_eq!(told("60,all,orders,jobs=3", "lost_update", 3), Some(one));
    // Those behind the failure do not count.
    let found = told("60,orders,jobs=3", "lost_update", 3).unwrap();
    assert_eq!(told("60,orders,jobs=1", "lost_update", 3), Some(found));
    assert!(found < one, "{found}");
    assert_eq!(told("60,all", "lost_update", 3), None);
    // A program whose threads take turns at one word, and never in another order.
    assert_eq!(told("5,orders", "cat", 0), Some(1));
}
