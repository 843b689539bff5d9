//! The embedder's side: async embedders and host functions, hooks, the memory, the pool.

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::waits::WaitOutcome;
use wasi_threads::{Outcome, Pool, ThreadGroup};

/// Drives a future on this thread.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park_timeout(Duration::from_secs(30));
    }
}

#[test]
fn an_async_embedder_awaits_a_group() {
    let _dog = watchdog("an_async_embedder_awaits_a_group", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(r#"(func (export "_start") (call $exit (i32.const 3)))"#),
    );
    let group = Arc::new(builder(&engine, &module, &Arc::default()).build().unwrap());
    let outcome = block_on(group.run_async("_start").unwrap()).unwrap();
    assert!(matches!(outcome, Outcome::Exited(3)), "{outcome:?}");
}

#[test]
fn dropping_the_future_ends_the_group_at_once() {
    let _dog = watchdog("dropping_the_future_ends_the_group_at_once", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $count) (call $park))
               (func (export "_start") (drop (call $spawn (i32.const 0))) (call $spin))"#,
        ),
    );
    let log = Arc::<Log>::default();
    let group = Arc::new(builder(&engine, &module, &log).build().unwrap());
    let running = group.run_async("_start").unwrap();
    assert!(eventually(Duration::from_secs(30), || log
        .count
        .load(Ordering::SeqCst)
        == 1));
    let reaped = running.reaped();
    assert!(!reaped.is_ended());
    let start = Instant::now();
    drop(running);
    assert!(start.elapsed() < Duration::from_secs(5));
    reaped.wait();
    assert!(matches!(group.handle().outcome(), Some(Outcome::Cancelled)));
    assert_eq!(group.handle().threads(), []);
}

/// A future that is ready when another thread says so.
#[cfg(feature = "async")]
#[derive(Clone, Default)]
struct Gate(Arc<Mutex<(bool, Vec<Waker>)>>);

#[cfg(feature = "async")]
impl Gate {
    fn open(&self) {
        let wakers = {
            let mut gate = self.0.lock().unwrap();
            gate.0 = true;
            std::mem::take(&mut gate.1)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(feature = "async")]
impl Future for Gate {
    type Output = ();
    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.0.lock().unwrap();
        if gate.0 {
            return Poll::Ready(());
        }
        gate.1.push(cx.waker().clone());
        Poll::Pending
    }
}

/// The setting that was forgotten is named, before the guest has run.
#[cfg(feature = "async")]
#[test]
fn async_host_functions_that_nobody_has_told_of() {
    let _dog = watchdog("async_host_functions_that_nobody_has_told_of", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "later" (func $later)) {PRELUDE}
             (func (export "_start") (call $count) (call $later))
             (func (export "f") (call $later)))"#
    ));
    let bytes = bytes.unwrap();
    for door in DOORS {
        let module = door.module(&engine, &bytes);
        let log = Arc::<Log>::default();
        let build = || {
            let mut linker = linker(&engine);
            let added = linker.func_wrap_async("host", "later", |_, (): ()| {
                Box::new(std::future::ready(()))
            });
            added.unwrap();
            let group = ThreadGroup::builder(&engine, &module, linker);
            group.state(data_of(&log)).build().unwrap()
        };
        let run = build().run("_start").unwrap_err().to_string();
        assert!(
            run.contains("`GroupBuilder::async_host_functions`"),
            "{door:?}: {run}"
        );
        let reactor = build().into_reactor();
        let call = reactor.and_then(|reactor| reactor.call::<(), ()>("f", ()));
        let call = call.unwrap_err().to_string();
        assert!(
            call.contains("`GroupBuilder::async_host_functions`"),
            "{door:?}: {call}"
        );
        assert_eq!(log.count.load(Ordering::SeqCst), 0);
    }
}

/// Async host functions in main and in children: they await, resume, and are dropped by the end.
#[cfg(feature = "async")]
#[test]
fn async_host_functions_in_every_thread() {
    let _dog = watchdog("async_host_functions_in_every_thread", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module
             (import "host" "gate" (func $gate))
             (import "host" "never" (func $never))
             {PRELUDE}
             (func (export "wasi_thread_start") (param i32) (param $arg i32)
               (call $count)
               (if (local.get $arg) (then (call $never)))
               (call $gate)
               (call $signal (i32.const 0)))
             (func (export "_start")
               (drop (call $spawn (i32.const 0)))
               (drop (call $spawn (i32.const 0)))
               (drop (call $spawn (i32.const 1)))
               (call $gate)
               (call $await (i32.const 0) (i32.const 2))
               (call $log (i32.const 5))))"#
    ))
    .unwrap();
    for door in DOORS {
        let module = door.module(&engine, &bytes);
        let gate = Gate::default();
        let dropped = Arc::new(AtomicU32::new(0));
        let mut linker = linker(&engine);
        let open = gate.clone();
        linker
            .func_wrap_async(
                "host",
                "gate",
                move |_: wasmtime::Caller<'_, Data>, (): ()| Box::new(open.clone()),
            )
            .unwrap();
        let drops = Arc::clone(&dropped);
        linker
            .func_wrap_async(
                "host",
                "never",
                move |_: wasmtime::Caller<'_, Data>, (): ()| {
                    struct Drops(Arc<AtomicU32>);
                    impl Drop for Drops {
                        fn drop(&mut self) {
                            self.0.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    let drops = Drops(Arc::clone(&drops));
                    Box::new(async move {
                        let _drops = drops;
                        std::future::pending::<()>().await
                    })
                },
            )
            .unwrap();
        let log = Arc::<Log>::default();
        let group = ThreadGroup::builder(&engine, &module, linker)
            .async_host_functions(true)
            .state(data_of(&log))
            .build()
            .unwrap();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| group.run("_start").unwrap());
            assert!(eventually(Duration::from_secs(30), || log
                .count
                .load(Ordering::SeqCst)
                == 3));
            assert!(!group.handle().is_ended());
            gate.open();
            let outcome = run.join().unwrap();
            assert!(
                matches!(outcome, Outcome::Returned),
                "{door:?}: {outcome:?}"
            );
        });
        assert_eq!(*log.values.lock().unwrap(), [5]);
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn hooks_run_around_each_thread() {
    let _dog = watchdog("hooks_run_around_each_thread", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 2)))"#,
        ),
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&seen);
    let group = builder(&engine, &module, &Arc::default())
        .around_thread(move |id, run| {
            hook.lock().unwrap().push((id.get(), "before"));
            run();
            hook.lock().unwrap().push((id.get(), "after"));
        })
        .build()
        .unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(seen[0], (0, "before"));
    for id in seen.iter().map(|(id, _)| *id) {
        let of: Vec<_> = seen
            .iter()
            .filter(|one| one.0 == id)
            .map(|one| one.1)
            .collect();
        assert_eq!(
            of.chunks(2)
                .filter(|two| *two == ["before", "after"])
                .count()
                * 2,
            of.len()
        );
    }

    let group = builder(&engine, &module, &Arc::default())
        .around_thread(|_, _| {})
        .build()
        .unwrap();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Cancelled));
    let group = builder(&engine, &module, &Arc::default())
        .around_thread(|_, _| panic!("in the hook"))
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Panicked { .. }), "{outcome:?}");
}

/// Host code waits for the guest and the guest for host code, both ways the module may be made.
#[test]
fn host_and_guest_meet_in_the_memory() {
    let _dog = watchdog("host_and_guest_meet_in_the_memory", 60);
    let engine = engine();
    for door in DOORS {
        let module = door.module(
            &engine,
            &guest(
                r#"(func (export "_start")
                     (call $await (i32.const 0) (i32.const 1))
                     (i64.atomic.store (i32.const 8) (i64.const 7))
                     (drop (memory.atomic.notify (i32.const 8) (i32.const 1)))
                     (call $park))"#,
            ),
        );
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        let memory = group.host_memory().unwrap();
        assert!(memory.wait32(2, 0, None).is_err());
        assert!(memory.wait64(1 << 20, 0, None).is_err());
        assert_eq!(
            memory.wait32(0, 0, Some(Duration::from_millis(1))).unwrap(),
            WaitOutcome::TimedOut
        );
        assert_eq!(memory.wait32(0, 1, None).unwrap(), WaitOutcome::NotEqual);
        std::thread::scope(|scope| {
            let run = scope.spawn(|| group.run("_start").unwrap());
            memory.store32(0, 1).unwrap();
            memory.notify(0, 1).unwrap();
            while memory.load64(8).unwrap() == 0 {
                assert_ne!(memory.wait64(8, 0, None).unwrap(), WaitOutcome::TimedOut);
            }
            assert_eq!(memory.load64(8).unwrap(), 7);
            let host = scope.spawn(|| memory.wait32(256, 0, None).unwrap());
            std::thread::sleep(Duration::from_millis(20));
            group.handle().cancel();
            assert!(matches!(run.join().unwrap(), Outcome::Cancelled));
            // The end reaches host threads, in the lot and in wasmtime's own waits.
            assert_eq!(host.join().unwrap(), WaitOutcome::Ended);
        });
    }
}

/// A guest that overwrites an active segment and spawns in a loop. Each spawn writes the segment
/// again, and no instance made ahead does.
#[test]
fn instances_made_ahead_are_not_seen() {
    let _dog = watchdog("instances_made_ahead_are_not_seen", 600);
    let engine = engine();
    let body = |data: &str| {
        guest(&format!(
            r#"{data}
               (func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
               (func (export "_start") (local $i i32) (local $j i32)
                 (loop $l
                   (local.set $i (i32.add (local.get $i) (i32.const 1)))
                   (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
                   (call $await (i32.const 0) (local.get $i))
                   ;; Everything a spawn does to the memory is over: what is written now stays.
                   (i32.atomic.store (i32.const 1024) (i32.const 77))
                   (local.set $j (i32.const 0))
                   (loop $look
                     (if (i32.ne (i32.atomic.load (i32.const 1024)) (i32.const 77))
                       (then (unreachable)))
                     (br_if $look (i32.lt_u
                       (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 2000))))
                   (br_if $l (i32.lt_u (local.get $i) (i32.const 300)))))"#
        ))
    };
    for data in [r#"(data (i32.const 1024) "abcd")"#, ""] {
        let module = Door::Prepared.module(&engine, &body(data));
        assert_eq!(module.instantiation_is_visible(), !data.is_empty());
        let runs = if stress().is_some() { 1000 } else { 1 };
        for _ in 0..runs {
            let group = builder(&engine, &module, &Arc::default()).build().unwrap();
            let outcome = group.run("_start").unwrap();
            assert!(matches!(outcome, Outcome::Returned), "{data}: {outcome:?}");
        }
        eprintln!("a segment overwritten in a loop of spawns {data:?}: right in {runs} runs");
    }
}

/// A start function runs once in each thread, on that thread, before its entry.
#[test]
fn start_functions_run_where_the_thread_is() {
    let _dog = watchdog("start_functions_run_where_the_thread_is", 300);
    let engine = engine();
    // Counts itself, calls a host function, waits (with a timeout), and main's spawns a thread.
    let bytes = guest(
        r#"(start $s)
           (func $s
             (drop (i32.atomic.rmw.add (i32.const 48) (i32.const 1)))
             (call $log (i32.add (i32.const 1000) (call $id)))
             (drop (memory.atomic.wait32 (i32.const 128) (i32.const 0) (i64.const 1000000)))
             (if (i32.eqz (call $id))
               (then (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable))))))
           (func (export "wasi_thread_start") (param i32 i32)
             (call $log (i32.add (i32.const 2000) (call $id)))
             (call $signal (i32.const 0)))
           (func (export "_start")
             (call $await (i32.const 0) (i32.const 1))
             (call $log (i32.atomic.load (i32.const 48))))"#,
    );
    for door in DOORS {
        let module = door.module(&engine, &bytes);
        let runs = if stress().is_some() { 1000 } else { 20 };
        for _ in 0..runs {
            let log = Arc::<Log>::default();
            let group = builder(&engine, &module, &log).build().unwrap();
            let outcome = group.run("_start").unwrap();
            assert!(
                matches!(outcome, Outcome::Returned),
                "{door:?}: {outcome:?}"
            );
            assert_eq!(*log.values.lock().unwrap(), [1000, 1001, 2001, 2]);
        }
        eprintln!(
            "a start function that counts, calls, waits, spawns ({door:?}): right in {runs} runs"
        );
    }
}

/// Parked host threads end after the idle time, and instances made ahead are dropped with them.
#[test]
fn idle_threads_leave() {
    let _dog = watchdog("idle_threads_leave", 60);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
               (func (export "burst") (param $n i32) (local $i i32)
                 (loop $l
                   (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
                 (call $await (i32.const 0) (local.get $n)))"#,
        ),
    );
    let made = Arc::new(AtomicU32::new(0));
    let dropped = Arc::new(AtomicU32::new(0));
    struct Counted(Arc<AtomicU32>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let mut linker = wasmtime::Linker::<Counted>::new(&engine);
    linker
        .define_unknown_imports_as_traps(module.module())
        .unwrap();
    let (makes, drops) = (Arc::clone(&made), Arc::clone(&dropped));
    let group = ThreadGroup::builder(&engine, &module, linker)
        .pool(
            Pool::new()
                .idle(4)
                .prewarmed(4)
                .idle_time(Duration::from_millis(20)),
        )
        .state(move |_| {
            makes.fetch_add(1, Ordering::SeqCst);
            Counted(Arc::clone(&drops))
        })
        .build()
        .unwrap();
    let reactor = group.into_reactor().unwrap();
    reactor.call::<i32, ()>("burst", 20).unwrap();
    // In the end only the reactor's own store is left.
    assert!(eventually(Duration::from_secs(30), || {
        made.load(Ordering::SeqCst) == dropped.load(Ordering::SeqCst) + 1
    }));
    assert!(made.load(Ordering::SeqCst) >= 21);
    drop(reactor);
    assert_eq!(made.load(Ordering::SeqCst), dropped.load(Ordering::SeqCst));
}

/// The drop of data of unused instances may panic, on whatever thread: no thread waits for ever,
/// and the outcome stays.
#[test]
fn a_panic_in_the_data_of_an_unused_instance() {
    let _dog = watchdog("a_panic_in_the_data_of_an_unused_instance", 60);
    struct Panics(bool);
    impl Drop for Panics {
        fn drop(&mut self) {
            if self.0 {
                panic!("as it is dropped");
            }
        }
    }
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
               (func (export "_start") (local $i i32)
                 (loop $l
                   (drop (call $spawn (i32.const 0)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 8))))
                 (call $await (i32.const 0) (i32.const 8)))"#,
        ),
    );
    for _ in 0..20 {
        let mut linker = wasmtime::Linker::<Panics>::new(&engine);
        linker
            .define_unknown_imports_as_traps(module.module())
            .unwrap();
        let made = AtomicU32::new(0);
        let group = ThreadGroup::builder(&engine, &module, linker)
            // Main's and those of the eight threads do not panic.
            .state(move |_| Panics(made.fetch_add(1, Ordering::SeqCst) > 8))
            .pool(
                Pool::new()
                    .idle(2)
                    .prewarmed(1)
                    .idle_time(Duration::from_micros(50)),
            )
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        // A thread that got an instance made ahead may have got such data.
        assert!(
            matches!(outcome, Outcome::Returned | Outcome::Panicked { .. }),
            "{outcome:?}"
        );
        assert_eq!(group.handle().threads(), []);
    }
}
