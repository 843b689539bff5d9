//! Groups that explain themselves: deadlocks, reports on demand, threads left behind.

mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{Outcome, Report, ThreadId, ThreadState, host_call, note_host_call};
use wasmtime::Caller;

/// Two mutexes (words 8 and 12), taken in opposite order by two threads, which meet at word 0.
const OPPOSITE_LOCKS: &str = r#"
    (func $lock (param $m i32)
      (block $done (loop $l
        (br_if $done (i32.eqz (i32.atomic.rmw.xchg (local.get $m) (i32.const 1))))
        (drop (memory.atomic.wait32 (local.get $m) (i32.const 1) (i64.const -1)))
        (br $l))))
    (func $first_then_second (param $a i32) (param $b i32)
      (call $lock (local.get $a))
      (call $signal (i32.const 0))
      (call $await (i32.const 0) (i32.const 2))
      (call $lock (local.get $b)))
    (func (export "wasi_thread_start") (param i32 i32)
      (call $first_then_second (i32.const 12) (i32.const 8)))
    (func (export "_start")
      (drop (call $spawn (i32.const 0)))
      (call $first_then_second (i32.const 8) (i32.const 12)))"#;

#[test]
fn opposite_locks_are_a_deadlock() {
    let _dog = watchdog("opposite_locks_are_a_deadlock", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(OPPOSITE_LOCKS));
    for _ in 0..50 {
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .build()
            .unwrap();
        let start = Instant::now();
        let outcome = group.run("_start").unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
        let Outcome::Deadlocked(deadlock) = &outcome else {
            panic!("{outcome:?}");
        };
        // By id, main first.
        let found: Vec<_> = deadlock
            .threads
            .iter()
            .map(|one| {
                (
                    one.thread == ThreadId::MAIN,
                    one.address.unwrap(),
                    one.memory,
                )
            })
            .collect();
        assert_eq!(found, [(true, 12, Some(0)), (false, 8, Some(0))]);
        for thread in &deadlock.threads {
            let backtrace = thread.backtrace.as_ref().expect("a backtrace").to_string();
            assert!(backtrace.contains("first_then_second"), "{backtrace}");
        }
        let text = deadlock.to_string();
        assert!(
            text.contains("thread main waits on 32 bits at 0xc"),
            "{text}"
        );
    }
}

/// A thread that waits alone is a deadlock as well, whether it is main or a child.
#[test]
fn everybody_parked_is_a_deadlock() {
    let _dog = watchdog("everybody_parked_is_a_deadlock", 60);
    let engine = engine();
    for body in [
        r#"(func (export "_start") (call $park))"#,
        r#"(func (export "wasi_thread_start") (param i32 i32) (call $sleep (i32.const 5)))
           (func (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#,
    ] {
        let module = Door::Prepared.module(&engine, &guest(body));
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        let Outcome::Deadlocked(deadlock) = &outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(deadlock.threads.len(), 1);
        assert_eq!(deadlock.threads[0].thread, ThreadId::MAIN);
        assert_eq!(deadlock.threads[0].address, Some(64));
    }
}

/// Waiting for a host call, for a timer, or for host code that holds a writer is no deadlock.
#[test]
fn merely_waiting_is_no_deadlock() {
    let _dog = watchdog("merely_waiting_is_no_deadlock", 120);
    let engine = engine();
    for child in [
        "(call $sleep (i32.const 30))",
        "(drop (memory.atomic.wait32 (i32.const 128) (i32.const 0) (i64.const 30000000)))",
    ] {
        let module = Door::Prepared.module(
            &engine,
            &guest(&format!(
                r#"(func (export "wasi_thread_start") (param i32 i32)
                     {child} (call $signal (i32.const 0)))
                   (func (export "_start")
                     (drop (call $spawn (i32.const 0)))
                     (call $await (i32.const 0) (i32.const 1)))"#
            )),
        );
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Returned), "{child}: {outcome:?}");
    }
    // While the host holds the writer, the group is not stuck. Released without a write, it is.
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "_start") (call $count) (call $await (i32.const 0) (i32.const 1)))"#,
        ),
    );
    for release in [false, true] {
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .build()
            .unwrap();
        let memory = group.host_memory().unwrap();
        let writer = memory.writer().unwrap();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| group.run("_start").unwrap());
            std::thread::sleep(Duration::from_millis(30));
            assert!(!group.handle().is_ended());
            if !release {
                memory.store32(0, 1).unwrap();
                memory.notify(0, 1).unwrap();
            }
            drop(writer);
            let outcome = run.join().unwrap();
            match release {
                false => assert!(matches!(outcome, Outcome::Returned), "{outcome:?}"),
                true => assert!(matches!(outcome, Outcome::Deadlocked(_)), "{outcome:?}"),
            }
        });
    }
}

/// A correct program is never called deadlocked: threads that pass a token round by waits alone.
#[test]
fn handing_over_is_no_deadlock() {
    // Ten million waits in the long form.
    let (rounds, wanted) = match stress() {
        Some(stress) => (50_000, 100_000 * u64::from(stress)),
        None => (20_000, 1),
    };
    let _dog = watchdog("handing_over_is_no_deadlock", 120 + wanted / 10_000);
    let engine = engine();
    // Word 16 says which of four threads has the token.
    let module = Door::Prepared.module(
        &engine,
        &guest(&format!(
            r#"(func $play (param $me i32) (local $i i32) (local $now i32)
                 (loop $l
                   (local.set $now (i32.atomic.load (i32.const 16)))
                   (if (i32.ne (local.get $now) (local.get $me))
                     (then
                       (drop (memory.atomic.wait32
                         (i32.const 16) (local.get $now) (i64.const -1)))
                       (br $l)))
                   (i32.atomic.store (i32.const 16)
                     (i32.and (i32.add (local.get $me) (i32.const 1)) (i32.const 3)))
                   (drop (memory.atomic.notify (i32.const 16) (i32.const -1)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1)))
                     (i32.const {rounds}))))
                 (call $signal (i32.const 0)))
               (func (export "wasi_thread_start") (param i32) (param $me i32)
                 (call $play (local.get $me)))
               (func (export "_start")
                 (drop (call $spawn (i32.const 1)))
                 (drop (call $spawn (i32.const 2)))
                 (drop (call $spawn (i32.const 3)))
                 (call $play (i32.const 0))
                 (call $await (i32.const 0) (i32.const 4)))"#
        )),
    );
    let (mut groups, mut waits) = (0, 0);
    while waits < wanted {
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        groups += 1;
        waits += group.wait_statistics().queued;
    }
    eprintln!("{waits} waits of a correct program, in {groups} groups: no deadlock reported");
}

#[test]
fn a_report_says_what_each_thread_does() {
    let _dog = watchdog("a_report_says_what_each_thread_does", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &wat::parse_str(format!(
            r#"(module (import "host" "named" (func $named)) {PRELUDE}
               (func $spinning (call $spin))
               (func (export "wasi_thread_start") (param i32) (param $arg i32)
                 (call $count)
                 (if (i32.eq (local.get $arg) (i32.const 1)) (then (call $spinning)))
                 (if (i32.eq (local.get $arg) (i32.const 2)) (then (call $named)))
                 (call $block))
               (func (export "_start")
                 (drop (call $spawn (i32.const 1)))
                 (drop (call $spawn (i32.const 2)))
                 (drop (call $spawn (i32.const 3)))
                 (call $count)
                 (call $park)))"#
        ))
        .unwrap(),
    );
    let log = Arc::<Log>::default();
    let mut linker = linker(&engine);
    linker
        .func_wrap("host", "named", |caller: Caller<'_, Data>| {
            let _call = host_call("a call with a name");
            caller.data().token.wait();
        })
        .unwrap();
    let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .build()
        .unwrap();
    let handle = group.handle();
    // Main waits, a thread runs, a thread is in the call with a name.
    let settled = |report: &Report| {
        let states: Vec<_> = report.threads.iter().map(|one| &one.state).collect();
        let named = Some("a call with a name");
        matches!(
            states[..],
            [
                ThreadState::Waiting(_),
                ThreadState::Running,
                ThreadState::HostCall { name, .. },
                ThreadState::HostCall { .. },
            ] if *name == named
        )
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        let _cancels = CancelOnDrop(group.handle());
        assert!(eventually(Duration::from_secs(30), || log
            .count
            .load(Ordering::SeqCst)
            == 4));
        // Several times, because a report must change nothing.
        for _ in 0..3 {
            // A thread that does not get a processor in time is reported as in a host call.
            let mut report = handle.report(Duration::from_millis(300));
            assert!(eventually(Duration::from_secs(30), || {
                let done = settled(&report);
                if !done {
                    report = handle.report(Duration::from_millis(300));
                }
                done
            }));
            let text = report.to_string();
            assert_eq!(report.threads.len(), 4, "{text}");
            // The wait's own frame is of a function that the rewrite appended, and not the guest's.
            let waiting = report.threads[0].backtrace.as_ref().unwrap();
            let first = waiting.frames().next().unwrap();
            assert_eq!(first.func_name(), Some("park"), "{text}");
            let whole = waiting.whole().unwrap().frames();
            assert_eq!(whole.len(), waiting.frames().count() + 1, "{text}");
            let lines = waiting.to_string();
            let first = lines.lines().nth(1).unwrap();
            assert!(
                first.starts_with("    0: ") && first.ends_with("!park"),
                "{lines}"
            );
            assert!(
                matches!(&report.threads[0].state, ThreadState::Waiting(w) if w.address == Some(64)),
                "{text}"
            );
            assert!(report.threads[0].backtrace.is_some(), "{text}");
            let running: Vec<_> = report
                .threads
                .iter()
                .filter(|one| matches!(one.state, ThreadState::Running))
                .collect();
            assert_eq!(running.len(), 1, "{text}");
            let frames = running[0].backtrace.as_ref().unwrap().to_string();
            assert!(frames.contains("spinning"), "{text}");
            assert!(
                text.contains("is in the host call `a call with a name`, since"),
                "{text}"
            );
            assert!(text.contains("is in a host call"), "{text}");
            assert!(!handle.is_ended());
        }
        handle.cancel();
        assert!(matches!(run.join().unwrap(), Outcome::Cancelled));
    });
    assert!(handle.report(Duration::ZERO).threads.is_empty());
}

/// A host call that is noted by number has its name in a report, unless one within it says its own.
#[test]
fn a_host_call_may_be_noted_by_number() {
    let _dog = watchdog("a_host_call_may_be_noted_by_number", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &wat::parse_str(format!(
            r#"(module (import "host" "noted" (func $noted)) {PRELUDE}
               (func (export "wasi_thread_start") (param i32 i32))
               (func (export "_start") (call $noted)))"#
        ))
        .unwrap(),
    );
    let (here, asked) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let mut linker = linker(&engine);
    let ask = {
        let (here, asked) = (Arc::clone(&here), Arc::clone(&asked));
        move || {
            here.wait();
            asked.wait();
        }
    };
    linker
        .func_wrap("host", "noted", move || {
            assert_eq!(note_host_call(2), 0);
            ask();
            {
                let _call = host_call("a call within");
                ask();
            }
            ask();
            // One without a name.
            assert_eq!(note_host_call(9), 2);
            ask();
            assert_eq!(note_host_call(0), 9);
            ask();
        })
        .unwrap();
    let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&Arc::default()))
        .host_call_names(&["first", "second"])
        .build()
        .unwrap();
    let handle = group.handle();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        for expected in [
            Some(("second", false)),
            Some(("a call within", true)),
            Some(("second", false)),
            None,
            None,
        ] {
            here.wait();
            let report = handle.report(Duration::from_millis(20));
            let ThreadState::HostCall { name, since, .. } = report.threads[0].state else {
                panic!("{report}");
            };
            assert_eq!(name.map(|name| (name, since.is_some())), expected);
            asked.wait();
        }
        assert!(matches!(run.join().unwrap(), Outcome::Returned));
    });
    // A thread outside of the group notes nothing.
    assert_eq!(note_host_call(1), 0);
    assert_eq!(note_host_call(0), 0);
}

/// A host function that ignores the token is left behind after the grace period, by name.
#[test]
fn left_behind_after_the_grace_period() {
    let _dog = watchdog("left_behind_after_the_grace_period", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &wat::parse_str(format!(
            r#"(module (import "host" "deaf" (func $deaf)) {PRELUDE}
               (func (export "wasi_thread_start") (param i32 i32) (call $deaf) (call $spin))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 1))))"#
        ))
        .unwrap(),
    );
    let log = Arc::<Log>::default();
    let (arrive, arrived) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let mut linker = linker(&engine);
    linker
        .func_wrap("host", "deaf", move || {
            let _call = host_call("deaf");
            arrive.send(()).unwrap();
            let _ = released.lock().unwrap().recv();
        })
        .unwrap();
    let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .grace(Duration::from_millis(50))
        .build()
        .unwrap();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        let _cancels = CancelOnDrop(group.handle());
        arrived.recv_timeout(Duration::from_secs(30)).unwrap();
        let start = Instant::now();
        assert!(group.handle().cancel());
        let outcome = run.join().unwrap();
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
        assert!(start.elapsed() >= Duration::from_millis(50));
    });
    let left = group.left_behind();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].host_call, Some("deaf"));
    assert_eq!(left[0].thread.get(), 1);
    // When its host function returns, the next epoch check stops it, although it would spin for
    // ever.
    release.send(()).unwrap();
    assert!(eventually(Duration::from_secs(30), || group
        .handle()
        .threads()
        .is_empty()));
}

/// A trap in a bulk memory operation happens in a function that the rewrite appended. The backtrace
/// begins with the guest's own function.
#[test]
fn backtraces_begin_with_the_guest() {
    let _dog = watchdog("backtraces_begin_with_the_guest", 60);
    let engine = engine();
    for (what, trap) in [
        (
            "(memory.fill (i32.const 0) (i32.const 0) (global.get $big))",
            wasmtime::Trap::MemoryOutOfBounds,
        ),
        (
            "(drop (memory.atomic.wait32 (i32.const 2) (i32.const 0) (i64.const 0)))",
            wasmtime::Trap::HeapMisaligned,
        ),
    ] {
        let module = Door::Prepared.module(
            &engine,
            &guest(&format!(
                r#"(global $big i32 (i32.const 0x7fffffff))
                   (func $culprit {what})
                   (func (export "_start") (call $culprit))"#
            )),
        );
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(
            matches!(&outcome, Outcome::Trapped { trap: Some(found), .. } if *found == trap),
            "{outcome:?}"
        );
        let backtrace = group.backtrace_of(&outcome).unwrap();
        let names: Vec<_> = backtrace.frames().map(|frame| frame.func_name()).collect();
        assert_eq!(names[0], Some("culprit"), "{backtrace}");
        assert_eq!(names.len(), 2, "{backtrace}");
        assert_eq!(outcome.backtrace().unwrap().frames().len(), 3);
    }
    let group = builder(
        &engine,
        &Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#)),
        &Arc::default(),
    )
    .build()
    .unwrap();
    assert!(group.backtrace_of(&group.run("_start").unwrap()).is_none());
}

/// A reactor that is dropped while its threads wait for the next call ends as cancelled, and not as
/// deadlocked. The threads were not stuck while a call could come.
#[test]
fn a_dropped_reactor_is_no_deadlock() {
    let _dog = watchdog("a_dropped_reactor_is_no_deadlock", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (call $signal (i32.const 0)) (call $park))
               (func (export "start") (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 1)))"#,
        ),
    );
    for finish in [false, true] {
        let ended = Arc::new(std::sync::Mutex::new(None));
        let told = Arc::clone(&ended);
        struct Ends(Arc<std::sync::Mutex<Option<Outcome>>>);
        impl wasi_threads::Observer for Ends {
            fn ended(&self, outcome: &Outcome) {
                *self.0.lock().unwrap() = Some(outcome.clone());
            }
        }
        let group = builder(&engine, &module, &Arc::default())
            .detect_deadlock(true)
            .observer(Arc::new(Ends(told)))
            .build()
            .unwrap();
        let reactor = group.into_reactor().unwrap();
        reactor.call::<(), ()>("start", ()).unwrap();
        // A report while it is idle comes at once, and does not say that main is in a host call.
        let asked = Instant::now();
        let report = reactor.handle().report(Duration::from_secs(20));
        assert!(asked.elapsed() < Duration::from_secs(10));
        assert!(
            matches!(report.threads[0].state, ThreadState::Idle),
            "{report}"
        );
        if finish {
            let outcome = reactor.finish();
            assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
            assert!(reactor.call::<(), ()>("start", ()).is_err());
        }
        drop(reactor);
        let ended = ended.lock().unwrap();
        assert!(matches!(*ended, Some(Outcome::Cancelled)), "{ended:?}");
    }
}

/// Threads that a reactor leaves behind are named. Its main instance, which no thread runs, is not.
#[test]
fn a_reactor_names_who_is_left_behind() {
    let _dog = watchdog("a_reactor_names_who_is_left_behind", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (call $signal (i32.const 0)) (call $sleep (i32.const 400)))
               (func (export "start") (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 1)))"#,
        ),
    );
    let group = builder(&engine, &module, &Arc::default())
        .grace(Duration::from_millis(20))
        .build()
        .unwrap();
    let reactor = group.into_reactor().unwrap();
    reactor.call::<(), ()>("start", ()).unwrap();
    assert!(matches!(reactor.finish(), Outcome::Cancelled));
    let left = reactor.group().left_behind();
    let ids: Vec<_> = left.iter().map(|one| one.thread.get()).collect();
    assert_eq!(ids, [1], "{left:?}");
}
