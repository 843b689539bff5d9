//! Panics of the embedder's code, wherever it is called: there is an outcome, and the first cause
//! is it.

mod support;

use std::future::Future;
use std::panic::panic_any;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, RawWaker, RawWakerVTable, Wake, Waker};
use std::time::Duration;

use support::*;
use wasi_threads::{EndToken, Limits, Observer, Outcome, Pool, ThreadGroup, ThreadId};
use wasmtime::{Engine, Linker};

/// A payload that panics as it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a payload is dropped");
        }
    }
}

/// `exit_code` is asked about the error of a thread that failed.
#[test]
fn a_panic_in_exit_code_is_an_outcome() {
    let _dog = watchdog("a_panic_in_exit_code_is_an_outcome", 60);
    let engine = engine();
    for body in [
        r#"(func (export "_start") (unreachable))"#,
        r#"(func (export "wasi_thread_start") (param i32 i32) (unreachable))
           (func (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#,
        r#"(start $s) (func $s (unreachable)) (func (export "_start"))"#,
    ] {
        for door in DOORS {
            let module = door.module(&engine, &guest(body));
            let group = builder(&engine, &module, &Arc::default())
                .exit_code(|_| panic!("in exit_code"))
                .build()
                .unwrap();
            let outcome = group.run("_start").unwrap();
            let Outcome::Panicked { message, .. } = &outcome else {
                panic!("{body} {outcome:?}");
            };
            assert_eq!(message, "in exit_code");
        }
    }
}

/// A host function panics with something that panics as it is dropped.
#[test]
fn a_panic_with_a_bomb_is_an_outcome() {
    let _dog = watchdog("a_panic_with_a_bomb_is_an_outcome", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "bomb" (func $bomb)) {PRELUDE}
             (func (export "wasi_thread_start") (param i32 i32) (call $bomb))
             (func (export "child") (drop (call $spawn (i32.const 0))) (call $park))
             (func (export "main") (call $bomb)))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let before = host_threads();
    for around in [false, true] {
        for entry in ["main", "child"] {
            let mut linker = linker(&engine);
            linker
                .func_wrap("host", "bomb", || -> () { panic_any(Bomb) })
                .unwrap();
            let mut group =
                ThreadGroup::builder(&engine, &module, linker).state(data_of(&Arc::default()));
            if around {
                group = group.around_thread(|_, run| run());
            }
            let group = group.build().unwrap();
            let outcome = group.run(entry).unwrap();
            assert!(matches!(outcome, Outcome::Panicked { .. }), "{outcome:?}");
        }
    }
    assert!(eventually(Duration::from_secs(5), || host_threads() <= before));
    // The same where a hook, and the data of a thread, go off as they are.
    let group = builder(
        &engine,
        &Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#)),
        &Arc::default(),
    )
    .around_thread(|_, _| panic_any(Bomb))
    .build()
    .unwrap();
    assert!(matches!(
        group.run("_start").unwrap(),
        Outcome::Panicked { .. }
    ));
}

/// An observer that panics when a thread ends, which it is told after the thread has.
struct PanicsAtTheEnd;

impl Observer for PanicsAtTheEnd {
    fn thread_ended(&self, _: ThreadId) {
        panic!("at the end");
    }
}

#[test]
fn an_observers_panic_is_not_the_first_cause() {
    let _dog = watchdog("an_observers_panic_is_not_the_first_cause", 60);
    let engine = engine();
    let child = |what: &str| {
        format!(
            r#"(func (export "wasi_thread_start") (param i32 i32) {what})
               (func (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#
        )
    };
    let run = |body: &str| {
        let module = Door::Prepared.module(&engine, &guest(body));
        builder(&engine, &module, &Arc::default())
            .observer(Arc::new(PanicsAtTheEnd))
            .build()
            .unwrap()
            .run("_start")
            .unwrap()
    };
    let outcome = run(r#"(func (export "_start") (unreachable))"#);
    assert!(matches!(outcome, Outcome::Trapped { .. }), "{outcome:?}");
    assert!(outcome.backtrace().is_some());
    let outcome = run(r#"(func (export "_start") (call $exit (i32.const 3)))"#);
    assert!(matches!(outcome, Outcome::Exited(3)), "{outcome:?}");
    let outcome = run(r#"(func (export "_start"))"#);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let outcome = run(&child("(unreachable)"));
    assert!(matches!(outcome, Outcome::Trapped { .. }), "{outcome:?}");
    let outcome = run(&child("(call $panic)"));
    let Outcome::Panicked { message, .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(message, "the host function panicked");
    // Here it is the first.
    let outcome = run(&child(""));
    let Outcome::Panicked { message, .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(message, "at the end");
}

/// Wakers that panic, as those of an executor that is gone may.
struct Panics(AtomicBool);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
        panic!("nobody to wake");
    }
}

#[test]
fn a_waker_that_panics_does_not_stop_the_end() {
    let _dog = watchdog("a_waker_that_panics_does_not_stop_the_end", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $park))
               (func (export "_start") (drop (call $spawn (i32.const 0))) (call $count) (call $spin))"#,
        ),
    );
    let log = Arc::<Log>::default();
    let hooks = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&hooks);
    let group = builder(&engine, &module, &log)
        .on_end(move || {
            hook.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    let handle = group.handle();
    let wakers: Vec<_> = (0..4)
        .map(|_| Arc::new(Panics(AtomicBool::new(false))))
        .collect();
    let token = handle.token();
    let mut futures: Vec<_> = wakers.iter().map(|_| Box::pin(token.ended())).collect();
    for (future, waker) in futures.iter_mut().zip(&wakers) {
        let waker = Waker::from(Arc::clone(waker));
        assert!(
            future
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(Duration::from_secs(30), || log
                .count
                .load(Ordering::SeqCst)
                == 1));
            assert!(handle.cancel());
        });
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    });
    assert!(wakers.iter().all(|waker| waker.0.load(Ordering::SeqCst)));
    assert_eq!(hooks.load(Ordering::SeqCst), 1);
}

/// A waker whose clones and drops look at the token they are kept by.
#[test]
fn a_waker_is_cloned_and_dropped_without_the_lock() {
    let _dog = watchdog("a_waker_is_cloned_and_dropped_without_the_lock", 60);
    /// The token that the wakers of this test look at.
    static TOKEN: Mutex<Option<EndToken>> = Mutex::new(None);
    fn look() {
        let token = TOKEN.lock().unwrap().clone().unwrap();
        // It takes the token's lock.
        assert!(!token.wait_timeout(Duration::ZERO));
    }
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            look();
            RawWaker::new(data, &TABLE)
        },
        |_| (),
        |_| (),
        |_| look(),
    );
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let token = group.handle().token();
    *TOKEN.lock().unwrap() = Some(token.clone());
    // SAFETY: the table's functions use no data.
    #[allow(unsafe_code)]
    let waker = || unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &TABLE)) };
    let (one, two) = (waker(), waker());
    let mut future = pin!(token.ended());
    for waker in [&one, &two, &one] {
        assert!(
            future
                .as_mut()
                .poll(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
}

/// What the embedder captured panics as the last handle of the group goes, on the reaper.
#[test]
fn a_reaper_that_drops_a_bomb_is_done() {
    let _dog = watchdog("a_reaper_that_drops_a_bomb_is_done", 60);
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("what was captured is dropped");
        }
    }
    let engine = engine();
    let body = r#"(func (export "_start") (call $await (i32.const 0) (i32.const 1)))"#;
    let module = Door::Prepared.module(&engine, &guest(body));
    let captured = Panics;
    let group = builder(&engine, &module, &Arc::default())
        .state(move |info| {
            let _ = &captured;
            Data {
                id: info.id(),
                token: info.token().clone(),
                log: Arc::default(),
            }
        })
        .build()
        .unwrap();
    let group = Arc::new(group);
    let running = group.run_async("_start").unwrap();
    // The reaper has the last handle: the guest waits until this one is gone.
    let memory = group.host_memory().unwrap();
    drop(group);
    memory.store32(0, 1).unwrap();
    memory.notify(0, 1).unwrap();
    let reaped = running.reaped();
    reaped.wait();
    let mut running = pin!(running);
    let poll = running
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    let std::task::Poll::Ready(Ok(outcome)) = poll else {
        panic!("{poll:?}");
    };
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
}

/// Instances made ahead are not used up by spawns that are refused at the limit, nor is their data
/// dropped by those.
#[test]
fn an_instance_made_ahead_that_is_refused_is_kept() {
    let _dog = watchdog("an_instance_made_ahead_that_is_refused_is_kept", 60);
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let engine: Engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32) (param $arg i32)
                 (call $signal (i32.const 0))
                 (if (local.get $arg) (then (call $park))))
               (func $spawned
                 (loop $l (br_if $l (i32.eq (call $spawn (i32.const 0)) (i32.const -6)))))
               (func (export "_start") (local $i i32)
                 ;; Two threads end, and two instances are made ahead. The next takes one and stays.
                 (call $spawned)
                 (call $await (i32.const 0) (i32.const 1))
                 ;; The first thread's place may come back later than its signal: until then this is refused.
                 (call $spawned)
                 (call $await (i32.const 0) (i32.const 2))
                 (call $sleep (i32.const 400))
                 (if (i32.le_s (call $spawn (i32.const 1)) (i32.const 0)) (then (unreachable)))
                 (call $await (i32.const 0) (i32.const 3))
                 (loop $l
                   (if (i32.ne (call $spawn (i32.const 0)) (i32.const -6)) (then (unreachable)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5))))
                 (call $log (i32.const 0)))"#,
        ),
    );
    let (made, dropped) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let seen = Arc::new(AtomicU32::new(u32::MAX));
    let mut linker = Linker::<Counted>::new(&engine);
    linker.allow_shadowing(true);
    linker
        .define_unknown_imports_as_traps(module.module())
        .unwrap();
    let makes = Arc::clone(&made);
    linker
        .func_wrap("host", "sleep", move |millis: i32| {
            // Both instances are being made; then time for what is left of that.
            assert!(eventually(Duration::from_secs(30), || makes
                .load(Ordering::SeqCst)
                == 5));
            std::thread::sleep(Duration::from_millis(millis as u64));
        })
        .unwrap();
    let (sees, drops) = (Arc::clone(&seen), Arc::clone(&dropped));
    linker
        .func_wrap("host", "log", move |_: i32| {
            sees.store(drops.load(Ordering::SeqCst), Ordering::SeqCst);
        })
        .unwrap();
    let (makes, drops) = (Arc::clone(&made), Arc::clone(&dropped));
    let group = ThreadGroup::builder(&engine, &module, linker)
        .limits(Limits::new().threads(1).spawn_wait(Duration::ZERO))
        .pool(Pool::new().prewarmed(2).idle_time(Duration::from_secs(60)))
        .state(move |_| {
            // The third is the first that is made ahead: not before the second thread has one of
            // its own.
            if makes.fetch_add(1, Ordering::SeqCst) == 2 {
                assert!(eventually(Duration::from_secs(30), || makes
                    .load(Ordering::SeqCst)
                    >= 4));
            }
            Counted(Arc::clone(&drops))
        })
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    // Beside those of the second spawn, if it came early.
    assert!(group.spawn_failures().count >= 5);
    assert_eq!(made.load(Ordering::SeqCst), 5);
    // Those of the two threads that have ended.
    assert_eq!(seen.load(Ordering::SeqCst), 2);
}

/// The mappings that are memories of guests: one of those here reserves more than 4 GiB.
#[cfg(target_os = "linux")]
fn reserved() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let size = |line: &str| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        let at = |hex| usize::from_str_radix(hex, 16).ok();
        Some(at(to)? - at(from)?)
    };
    maps.lines()
        .filter_map(size)
        .filter(|size| *size > 1 << 31)
        .count()
}

/// Data that panics as it is dropped once left its store's instances behind, with their memories.
#[cfg(target_os = "linux")]
#[test]
fn data_that_panic_as_they_are_dropped_leave_no_mapping() {
    if !in_a_process("data_that_panic_as_they_are_dropped_leave_no_mapping", ":") {
        return;
    }
    let _dog = watchdog("data_that_panic_as_they_are_dropped_leave_no_mapping", 60);
    let engine = engine();
    let own = r#"(memory $own (export "own") 1) "#;
    let child = format!(
        r#"(module {PRELUDE} {own}
             (func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
             (func (export "_start") (drop (call $spawn (i32.const 0)))
               (call $await (i32.const 0) (i32.const 1))
               (call $spin)))"#
    );
    let main = format!(r#"(module {PRELUDE} {own} (func (export "_start")))"#);
    let run = |text: &str| {
        let module = Door::Prepared.module(&engine, &wat::parse_str(text).unwrap());
        let mut linker = Linker::<Bomb>::new(&engine);
        linker
            .define_unknown_imports_as_traps(module.module())
            .unwrap();
        let group = ThreadGroup::builder(&engine, &module, linker)
            .state(|_| Bomb)
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        drop(group);
        outcome
    };
    run(&main);
    assert!(eventually(Duration::from_secs(10), || reserved() == 0));
    for text in [&main, &child] {
        for _ in 0..5 {
            let outcome = run(text);
            let first = text == &main || matches!(outcome, Outcome::Panicked { .. });
            assert!(first, "{outcome:?}");
            assert!(
                eventually(Duration::from_secs(10), || reserved() == 0),
                "{} memories are left",
                reserved()
            );
        }
    }
    // A group that never ran.
    let module = Door::Prepared.module(&engine, &wat::parse_str(&main).unwrap());
    let mut linker = Linker::<Bomb>::new(&engine);
    linker
        .define_unknown_imports_as_traps(module.module())
        .unwrap();
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(|_| Bomb)
        .build()
        .unwrap();
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(group)));
    assert!(dropped.is_err());
    assert!(eventually(Duration::from_secs(10), || reserved() == 0));
}
