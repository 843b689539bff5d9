//! Reactors: their calls, what ends them, and calls, ends and threads that get in each other's way.

mod support;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{CallError, Limits, Outcome, Reactor, ThreadGroup, ThreadId, ThreadState};
use wasmtime::{Caller, Engine, Linker, Trap};

const REACTOR: &str = r#"
    (func (export "_initialize") (i32.store (i32.const 32) (i32.const 100)))
    (func (export "add") (param i32) (result i32)
      (i32.add (i32.atomic.rmw.add (i32.const 32) (local.get 0)) (local.get 0)))
    (func (export "spawn") (result i32) (call $spawn (i32.const 0)))
    (func (export "await") (param i32) (call $await (i32.const 0) (local.get 0)))
    (func (export "wasi_thread_start") (param i32 i32)
      (drop (i32.atomic.rmw.add (i32.const 32) (i32.const 1000)))
      (call $signal (i32.const 0)))
    (func (export "trap") (unreachable))
    (func (export "panic") (call $panic))
    (func (export "spin") (call $spin))"#;

#[test]
fn a_reactor_is_called_from_several_threads() {
    let _dog = watchdog("a_reactor_is_called_from_several_threads", 60);
    let engine = engine();
    for door in DOORS {
        let module = door.module(&engine, &guest(REACTOR));
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        let reactor = group.into_reactor().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        reactor.call::<i32, i32>("add", 1).unwrap();
                    }
                    assert!(reactor.call::<(), i32>("spawn", ()).unwrap() > 0);
                });
            }
        });
        reactor.call::<i32, ()>("await", 4).unwrap();
        assert_eq!(reactor.call::<i32, i32>("add", 0).unwrap(), 4200);
        // A wrong call is an error of the caller, and ends nothing.
        assert!(matches!(
            reactor.call::<i64, i32>("add", 1),
            Err(CallError::ExportType { .. })
        ));
        assert!(matches!(
            reactor.call::<(), ()>("none", ()),
            Err(CallError::NoExport(_))
        ));
        assert!(matches!(
            reactor.invoke("none", &[]),
            Err(CallError::NoExport(_))
        ));
        assert_eq!(reactor.call::<i32, i32>("add", 0).unwrap(), 4200);
        let handle = reactor.handle();
        assert!(!handle.is_ended());
        assert!(matches!(reactor.finish(), Outcome::Cancelled));
        assert_eq!(handle.threads(), []);
    }
}

#[test]
fn what_ends_a_reactor() {
    let _dog = watchdog("what_ends_a_reactor", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(REACTOR));
    let reactor = |limits| {
        builder(&engine, &module, &Arc::default())
            .limits(limits)
            .build()
            .unwrap()
            .into_reactor()
            .unwrap()
    };
    let ended = |result: Result<(), CallError>| match result {
        Err(CallError::Ended(outcome)) => outcome,
        other => panic!("{other:?}"),
    };
    let it = reactor(Limits::new());
    let outcome = ended(it.call("trap", ()));
    let Outcome::Trapped { thread, trap, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(
        (thread, trap),
        (ThreadId::MAIN, Some(Trap::UnreachableCodeReached))
    );
    assert!(matches!(
        ended(it.call("spin", ())),
        Outcome::Trapped { .. }
    ));

    let it = reactor(Limits::new());
    let outcome = ended(it.call("panic", ()));
    assert!(matches!(outcome, Outcome::Panicked { .. }), "{outcome:?}");
    assert!(matches!(it.finish(), Outcome::Panicked { .. }));

    let it = reactor(Limits::new().timeout(slower(Duration::from_millis(300))));
    assert_eq!(it.call::<i32, i32>("add", 1).unwrap(), 101);
    let outcome = ended(it.call("spin", ()));
    assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");

    let it = reactor(Limits::new());
    let handle = it.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(30));
            handle.cancel();
        });
        let outcome = ended(it.call("spin", ()));
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    });
}

/// A word that main waits on, one that the child waits on, and a child.
const WAITING: &str = r#"
    (func (export "wasi_thread_start") (param i32 i32)
      (call $count) (call $park) (call $count) (call $spin))
    (func (export "spawn") (drop (call $spawn (i32.const 0))))
    (func (export "wait")
      (drop (memory.atomic.wait32 (i32.const 128) (i32.const 0) (i64.const -1))))"#;

/// A reactor that is found stuck and is then notified from outside, against its embedder's word: it
/// ends all the same. A thread that is woken before its backtrace is taken never gives one.
#[test]
fn a_stuck_reactor_that_is_notified_ends() {
    let _dog = watchdog("a_stuck_reactor_that_is_notified_ends", 120);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(WAITING));
    for round in 0..60 {
        let log = Arc::<Log>::default();
        let reactor = builder(&engine, &module, &log)
            .detect_deadlock(true)
            .build()
            .unwrap()
            .into_reactor()
            .unwrap();
        reactor.call::<(), ()>("spawn", ()).unwrap();
        let memory = reactor.group().host_memory().unwrap();
        let handle = reactor.handle();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Until the verdict, and then at once.
                while handle.outcome().is_none() {
                    std::hint::spin_loop();
                }
                let word = if round % 2 == 0 { 128 } else { 64 };
                memory.notify(word, 1).unwrap();
            });
            // It is woken or ended, and does not wait for ever.
            let _ = reactor.call::<(), ()>("wait", ());
        });
        let outcome = reactor.finish();
        assert!(matches!(outcome, Outcome::Deadlocked(_)), "{outcome:?}");
        assert!(handle.is_ended());
    }
}

/// The same, and the child never answers: a cancellation has to reach all threads.
#[test]
fn the_grace_period_bounds_a_reactors_call() {
    let _dog = watchdog("the_grace_period_bounds_a_reactors_call", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "deaf" (func $deaf)) {PRELUDE}
             (func (export "deaf") (call $deaf)) (func (export "f")))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    // Its start counts, too, and takes long beside a load.
    let limit = slower(Duration::from_millis(300));
    for timeout in [true, false] {
        let release = Arc::new((Mutex::new(false), std::sync::Condvar::new()));
        let waits = Arc::clone(&release);
        let mut linker = linker(&engine);
        linker
            .func_wrap("host", "deaf", move || {
                let _named = wasi_threads::host_call("deaf");
                let mut released = waits.0.lock().unwrap();
                while !*released {
                    released = waits.1.wait(released).unwrap();
                }
            })
            .unwrap();
        let limits = match timeout {
            true => Limits::new().timeout(limit),
            false => Limits::new(),
        };
        let reactor = ThreadGroup::builder(&engine, &module, linker)
            .limits(limits)
            .grace(Duration::from_millis(50))
            .state(data_of(&Arc::default()))
            .build()
            .unwrap()
            .into_reactor()
            .unwrap();
        let handle = reactor.handle();
        let start = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(2 * limit);
                handle.cancel();
            });
            // A second caller, which waits for the first call.
            let second = scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                reactor.call::<(), ()>("f", ())
            });
            let first = reactor.call::<(), ()>("deaf", ());
            for result in [first, second.join().unwrap()] {
                match result {
                    Err(CallError::Ended(Outcome::TimedOut)) if timeout => {}
                    Err(CallError::Ended(Outcome::Cancelled)) if !timeout => {}
                    other => panic!("{other:?}"),
                }
            }
        });
        assert!(start.elapsed() < slower(Duration::from_secs(10)));
        reactor.finish();
        let left = reactor.group().left_behind();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].host_call, Some("deaf"));
        *release.0.lock().unwrap() = true;
        release.1.notify_all();
    }
}

/// Store data with a reference to its own reactor.
#[derive(Clone, Default)]
struct Place(Arc<OnceLock<Weak<Reactor<Place>>>>);

impl Place {
    fn reactor(&self) -> Arc<Reactor<Place>> {
        self.0.get().unwrap().upgrade().unwrap()
    }
}

/// A reactor over `body`, which may import the functions of `linker`.
fn place(engine: &Engine, linker: Linker<Place>, body: &str) -> Arc<Reactor<Place>> {
    let bytes = wat::parse_str(format!(
        r#"(module (import "env" "memory" (memory 1 1 shared))
             (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
             {body} (export "memory" (memory 0)))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(engine, &bytes);
    let place = Place::default();
    let data = place.clone();
    let reactor = ThreadGroup::builder(engine, &module, linker)
        .state(move |_| data.clone())
        .build()
        .unwrap()
        .into_reactor()
        .unwrap();
    let reactor = Arc::new(reactor);
    place.0.set(Arc::downgrade(&reactor)).unwrap();
    reactor
}

/// Two threads of a reactor that finish it at the same time do not wait for each other.
#[test]
fn two_threads_finish_their_own_reactor() {
    let _dog = watchdog("two_threads_finish_their_own_reactor", 60);
    let engine = engine();
    for _ in 0..20 {
        let mut linker = Linker::<Place>::new(&engine);
        let both = Arc::new(std::sync::Barrier::new(2));
        linker
            .func_wrap("host", "shutdown", move |caller: Caller<'_, Place>| {
                let reactor = caller.data().reactor();
                both.wait();
                reactor.finish();
            })
            .unwrap();
        let reactor = place(
            &engine,
            linker,
            r#"(import "host" "shutdown" (func $shutdown))
               (func (export "wasi_thread_start") (param i32 i32) (call $shutdown) (loop $l (br $l)))
               (func (export "spawn") (drop (call $spawn (i32.const 0))))"#,
        );
        // Two threads, so that they can be there at the same time.
        reactor.call::<(), ()>("spawn", ()).unwrap();
        reactor.call::<(), ()>("spawn", ()).unwrap();
        assert!(eventually(Duration::from_secs(30), || {
            reactor.handle().threads().len() <= 1 && reactor.handle().is_ended()
        }));
        assert!(matches!(reactor.finish(), Outcome::Cancelled));
        assert_eq!(reactor.handle().threads(), []);
    }
}

/// A call of a reactor beneath a call of the same would wait for itself.
#[test]
fn a_call_beneath_a_call_is_refused() {
    let _dog = watchdog("a_call_beneath_a_call_is_refused", 60);
    let engine = engine();
    let mut linker = Linker::<Place>::new(&engine);
    linker
        .func_wrap("host", "again", |caller: Caller<'_, Place>| -> i32 {
            let reactor = caller.data().reactor();
            match reactor.call::<(), ()>("f", ()) {
                Err(CallError::Nested) => 1,
                Ok(()) => 2,
                Err(other) => panic!("{other:?}"),
            }
        })
        .unwrap();
    let reactor = place(
        &engine,
        linker,
        r#"(import "host" "again" (func $again (result i32)))
           (func (export "f"))
           (func (export "wasi_thread_start") (param i32 i32)
             (i32.atomic.store (i32.const 0) (call $again))
             (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
           (func (export "main") (result i32) (call $again))
           (func (export "spawn") (drop (call $spawn (i32.const 0))))
           (func (export "got") (result i32)
             (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
             (i32.atomic.load (i32.const 0)))"#,
    );
    assert_eq!(reactor.call::<(), i32>("main", ()).unwrap(), 1);
    // Another thread of the group may: it is not in the call, and main returns.
    reactor.call::<(), ()>("spawn", ()).unwrap();
    let memory = reactor.group().host_memory().unwrap();
    assert!(eventually(Duration::from_secs(30), || memory
        .load32(0)
        .unwrap()
        == 2));
    assert!(!reactor.handle().is_ended());
}

/// A patience that exceeds the clock has no deadline.
#[test]
fn a_report_with_all_the_patience_there_is() {
    let _dog = watchdog("a_report_with_all_the_patience_there_is", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(WAITING));
    let log = Arc::<Log>::default();
    let reactor = builder(&engine, &module, &log)
        .build()
        .unwrap()
        .into_reactor()
        .unwrap();
    reactor.call::<(), ()>("spawn", ()).unwrap();
    assert!(eventually(Duration::from_secs(30), || log
        .count
        .load(Ordering::SeqCst)
        == 1));
    let report = reactor.handle().report(Duration::MAX);
    assert_eq!(report.threads.len(), 2);
    assert!(matches!(report.threads[0].state, ThreadState::Idle));
}

/// A reactor that is dropped by a host function of its own group: the group ends, and does not wait
/// for the very thread that waits.
#[test]
fn a_reactor_dropped_by_its_own_thread() {
    let _dog = watchdog("a_reactor_dropped_by_its_own_thread", 60);
    /// Where the reactor is; the store data of its own threads.
    #[derive(Clone, Default)]
    struct Place(Arc<Mutex<Option<Reactor<Place>>>>);
    let engine = engine();
    let bytes = wat::parse_str(
        r#"(module (import "env" "memory" (memory 1 1 shared))
             (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
             (import "host" "drop" (func $drop))
             (export "memory" (memory 0))
             (func (export "wasi_thread_start") (param i32 i32) (call $drop) (loop $l (br $l)))
             (func (export "start") (drop (call $spawn (i32.const 0)))))"#,
    )
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let mut linker = Linker::<Place>::new(&engine);
    linker
        .func_wrap("host", "drop", |caller: Caller<'_, Place>| {
            let place = caller.data().clone();
            // Wait until it has been put there.
            let reactor = loop {
                if let Some(reactor) = place.0.lock().unwrap().take() {
                    break reactor;
                }
                std::thread::yield_now();
            };
            drop(reactor);
        })
        .unwrap();
    let place = Place::default();
    let data = place.clone();
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(move |_| data.clone())
        .build()
        .unwrap();
    let reactor = group.into_reactor().unwrap();
    let handle = reactor.handle();
    reactor.call::<(), ()>("start", ()).unwrap();
    *place.0.lock().unwrap() = Some(reactor);
    assert!(eventually(Duration::from_secs(30), || handle
        .threads()
        .is_empty()));
    assert!(matches!(handle.outcome(), Some(Outcome::Cancelled)));
    assert!(place.0.lock().unwrap().is_none());
}
