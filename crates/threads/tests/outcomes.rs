//! How groups end: the first cause, from any thread, whatever the others do.

mod support;

use std::time::Duration;

use support::*;
use wasi_threads::{Limits, Outcome, RunError, ThreadId};
use wasmtime::Trap;

#[test]
fn return_of_the_main_thread_ends_the_group() {
    let _dog = watchdog("return_of_the_main_thread_ends_the_group", 60);
    let (outcome, _) = run(
        r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)) (call $spin))
           (func (export "_start")
             (drop (call $spawn (i32.const 0)))
             (call $await (i32.const 0) (i32.const 1)))"#,
    );
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
}

#[test]
fn threads_get_their_id_and_argument() {
    let _dog = watchdog("threads_get_their_id_and_argument", 60);
    let (outcome, mut log) = run(
        r#"(func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
             ;; The id is also that of the store's data.
             (if (i32.ne (local.get $tid) (call $id)) (then (unreachable)))
             (call $log (i32.add (i32.mul (local.get $tid) (i32.const 100)) (local.get $arg)))
             (call $signal (i32.const 0)))
           (func (export "_start") (local $i i32)
             (if (call $id) (then (unreachable)))
             (loop $l
               (if (i32.lt_s (call $spawn (local.get $i)) (i32.const 1)) (then (unreachable)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (call $await (i32.const 0) (local.get $i))
               (br_if $l (i32.lt_u (local.get $i) (i32.const 3)))))"#,
    );
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    // Which ids are reused depends on how soon a thread leaves; the arguments do not.
    log.sort_unstable();
    assert_eq!(log.iter().map(|n| n % 100).sum::<i32>(), 3);
    assert!(log.iter().all(|n| (1..=3).contains(&(n / 100))), "{log:?}");
}

/// What one thread does to end the group.
const CAUSES: [&str; 5] = [
    "(call $exit (i32.const 7))",
    "(unreachable)",
    "(call $panic)",
    "(call $fail)",
    "(return)",
];

/// What the other threads do meanwhile.
const OTHERS: [&str; 5] = [
    "(call $spin)",
    "(call $park)",
    "(call $block)",
    // Spawns for ever: each new thread counts itself down.
    "(loop $l (drop (call $spawn (i32.const 3))) (br $l))",
    "(loop $l (call $sleep (i32.const 1)) (br $l))",
];

fn check(cause: &str, thread_is_main: bool, outcome: &Outcome) {
    let context = format!("{cause}: {outcome:?}");
    match (cause, outcome) {
        (c, Outcome::Exited(7)) if c == CAUSES[0] => {}
        (c, Outcome::Trapped { thread, trap, .. }) if c == CAUSES[1] => {
            assert_eq!(*trap, Some(Trap::UnreachableCodeReached), "{context}");
            assert_eq!(*thread == ThreadId::MAIN, thread_is_main, "{context}");
            assert!(outcome.backtrace().is_some(), "{context}");
        }
        (c, Outcome::Panicked { thread, message }) if c == CAUSES[2] => {
            assert_eq!(*thread == ThreadId::MAIN, thread_is_main, "{context}");
            assert_eq!(message, "the host function panicked", "{context}");
        }
        // A child's return ends the child: the group goes on, here until its time is over.
        (c, Outcome::Returned) if c == CAUSES[4] && thread_is_main => {}
        (c, Outcome::TimedOut) if c == CAUSES[4] && !thread_is_main => {}
        (
            c,
            Outcome::Trapped {
                thread,
                trap,
                error,
            },
        ) if c == CAUSES[3] => {
            assert_eq!(*trap, None, "{context}");
            assert_eq!(*thread == ThreadId::MAIN, thread_is_main, "{context}");
            assert!(
                format!("{error:#}").contains("the host function failed"),
                "{context}"
            );
        }
        _ => panic!("{context}"),
    }
}

/// Every cause from main and from a child, with two other threads in every state. How often is set
/// by `WASI_THREADS_STRESS` (100 for the long form).
#[test]
fn first_cause_wins_whatever_the_others_do() {
    let rounds: usize = std::env::var("WASI_THREADS_STRESS").map_or(3, |n| n.parse().unwrap());
    let _dog = watchdog(
        "first_cause_wins_whatever_the_others_do",
        60 + 20 * rounds as u64,
    );
    std::panic::set_hook(Box::new(|_| ()));
    let engine = engine();
    for other in OTHERS {
        for cause in CAUSES {
            for from_main in [true, false] {
                let (main, child) = if from_main {
                    (cause, other)
                } else {
                    (other, cause)
                };
                // Argument 0: does `other` after it has signalled; 1: the child of this round;
                // 3: ends at once. Where `other` spawns, all places may be taken for a moment.
                let bytes = guest(&format!(
                    r#"(func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
                         (if (i32.eq (local.get $arg) (i32.const 3)) (then (return)))
                         (call $signal (i32.const 0))
                         (if (i32.eqz (local.get $arg)) (then {other}))
                         (call $await (i32.const 0) (i32.const 3))
                         {child})
                       (func $must (param $arg i32)
                         (loop $refused
                           (br_if $refused
                             (i32.lt_s (call $spawn (local.get $arg)) (i32.const 0)))))
                       (func (export "_start")
                         (call $must (i32.const 0))
                         (call $must (i32.const 0))
                         (call $must (i32.const 1))
                         (call $await (i32.const 0) (i32.const 3))
                         {main})"#
                ));
                let module = Door::Prepared.module(&engine, &bytes);
                let mut limits = Limits::new()
                    .threads(8)
                    .spawn_wait(Duration::from_millis(1));
                if cause == CAUSES[4] && !from_main {
                    limits = limits.timeout(Duration::from_millis(50));
                }
                for _ in 0..rounds {
                    let log = Default::default();
                    let group = builder(&engine, &module, &log)
                        .limits(limits.clone())
                        .build()
                        .unwrap();
                    let outcome = group.run("_start").unwrap();
                    check(cause, from_main, &outcome);
                }
            }
        }
    }
    let _ = std::panic::take_hook();
}

#[test]
fn a_group_without_threads_runs() {
    let _dog = watchdog("a_group_without_threads_runs", 60);
    let engine = engine();
    for (memory, import) in [
        ("(memory (export \"memory\") 1)", ""),
        ("", "(import \"env\" \"memory\" (memory 1))"),
        ("(memory 1)", ""),
        ("(memory (export \"memory\") 1 2 shared)", ""),
        ("", ""),
    ] {
        let store = if memory.is_empty() && import.is_empty() {
            ""
        } else {
            "(i32.store (i32.const 0) (i32.const 1))"
        };
        let bytes = wat::parse_str(format!(
            r#"(module {import} (import "host" "exit" (func $exit (param i32))) {memory}
                 (func (export "_start") {store} (call $exit (i32.const 300))))"#
        ))
        .unwrap();
        for door in DOORS {
            let module = door.module(&engine, &bytes);
            let group = builder(&engine, &module, &Default::default())
                .build()
                .unwrap();
            let outcome = group.run("_start").unwrap();
            assert!(matches!(outcome, Outcome::Exited(300)), "{outcome:?}");
            assert!(group.memory().is_none());
        }
    }
}

#[test]
fn run_refuses_what_it_cannot_run() {
    let engine = engine();
    let bytes = guest(
        r#"(func (export "f") (param i32)) (global (export "g") i32 (i32.const 0))
                         (func (export "_start"))"#,
    );
    let module = Door::Prepared.module(&engine, &bytes);
    let group = builder(&engine, &module, &Default::default())
        .build()
        .unwrap();
    assert!(matches!(group.run("h"), Err(RunError::NoExport(name)) if name == "h"));
    assert!(matches!(group.run("f"), Err(RunError::ExportType { .. })));
    assert!(matches!(group.run("g"), Err(RunError::ExportType { .. })));
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    assert!(matches!(group.run("_start"), Err(RunError::AlreadyRan)));
}

#[test]
fn cancelled_from_outside() {
    let _dog = watchdog("cancelled_from_outside", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(r#"(func (export "_start") (call $count) (call $spin))"#),
    );
    let log = std::sync::Arc::<Log>::default();
    let group = builder(&engine, &module, &log).build().unwrap();
    let handle = group.handle();
    let started = std::sync::Arc::clone(&log);
    let canceller = std::thread::spawn(move || {
        assert!(eventually(Duration::from_secs(30), || {
            started.count.load(std::sync::atomic::Ordering::SeqCst) == 1
        }));
        assert_eq!(handle.threads(), [ThreadId::MAIN]);
        (handle.cancel(), handle.cancel(), handle)
    });
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    let (first, second, handle) = canceller.join().unwrap();
    assert!(first && !second && handle.is_ended());
    assert!(matches!(handle.outcome(), Some(Outcome::Cancelled)));
    assert_eq!(handle.threads(), []);
}

#[test]
fn the_memory_can_be_read_afterwards() {
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "_start") (i32.store8 (i32.const 5) (i32.const 42)) (unreachable))"#,
        ),
    );
    let group = builder(&engine, &module, &Default::default())
        .build()
        .unwrap();
    assert!(matches!(
        group.run("_start").unwrap(),
        Outcome::Trapped { .. }
    ));
    let memory = group.memory().unwrap();
    let byte = &wasi_threads::memory::bytes(memory, 5, 1).unwrap()[0];
    assert_eq!(byte.load(std::sync::atomic::Ordering::SeqCst), 42);
}

#[test]
fn the_end_hook_runs_once() {
    let _dog = watchdog("the_end_hook_runs_once", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (unreachable))
               (func (export "_start") (local $i i32)
                 (loop $l
                   (drop (call $spawn (i32.const 0)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 50)))))"#,
        ),
    );
    for _ in 0..20 {
        let ran = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        let counter = std::sync::Arc::clone(&ran);
        let group = builder(&engine, &module, &Default::default())
            .on_end(move || {
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            })
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(
            outcome,
            Outcome::Trapped { .. } | Outcome::Returned
        ));
        assert_eq!(ran.load(std::sync::atomic::Ordering::SeqCst), 1);
    }
}
