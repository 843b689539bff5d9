//! What host functions do under a schedule.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use wasi_threads::rewrite::Points;
use wasi_threads::schedule::{Schedule, ScheduleError, ScheduleHandle, Scheduled};
use wasi_threads::waits::WaitOutcome;
use wasi_threads::{HostMemory, Observer, Outcome, ThreadGroup, ThreadState, Wait, WaitEnd};
use wasmtime::{Caller, Linker};

use super::support::{CancelOnDrop, Data, Log, data_of, engine, eventually, linker, watchdog};
use super::{pointed, walk};

/// The tests' host functions, and those that use `handle`.
fn with_handle(engine: &wasmtime::Engine, handle: &ScheduleHandle) -> Linker<Data> {
    let mut linker = linker(engine);
    let one = handle.clone();
    linker
        .func_wrap("time", "now", move || one.now() as i64)
        .unwrap();
    let one = handle.clone();
    linker
        .func_wrap("time", "sleep", move |time: i64| -> wasmtime::Result<()> {
            one.host_call()?;
            Ok(one.sleep_until(one.now() + time as u64)?)
        })
        .unwrap();
    let one = handle.clone();
    linker
        .func_wrap("time", "yield", move || -> wasmtime::Result<()> {
            one.host_call()?;
            Ok(one.yield_now()?)
        })
        .unwrap();
    let one = handle.clone();
    linker
        .func_wrap(
            "time",
            "call",
            move |caller: Caller<'_, Data>, value: i32| -> wasmtime::Result<()> {
                one.host_call()?;
                caller.data().log.values.lock().unwrap().push(value);
                Ok(())
            },
        )
        .unwrap();
    let one = handle.clone();
    linker
        .func_wrap("time", "unlucky", move || {
            one.not_reproducible("the wind has turned");
        })
        .unwrap();
    linker
}

const IMPORTS: &str = r#"
    (import "env" "memory" (memory 1 64 shared))
    (export "memory" (memory 0))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "host" "log" (func $log (param i32)))
    (import "time" "now" (func $now (result i64)))
    (import "time" "sleep" (func $sleep (param i64)))
    (import "time" "yield" (func $yield))
    (import "time" "call" (func $call (param i32)))
    (import "time" "unlucky" (func $unlucky))
    (func $since (param i64) (result i32) (i32.wrap_i64 (i64.sub (call $now) (local.get 0))))
"#;

fn run(body: &str, scheduled: Scheduled) -> (Outcome, Vec<i32>, u64) {
    let engine = engine();
    let bytes = wat::parse_str(format!("(module {IMPORTS} {body})")).unwrap();
    let module = pointed(&engine, &bytes, Points::Atomics);
    let log = Arc::<Log>::default();
    let linker = with_handle(&engine, &scheduled.handle());
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    let values = log.values.lock().unwrap().clone();
    (outcome, values, group.schedule_trace().unwrap().hash)
}

#[test]
fn the_clock_is_the_schedules() {
    let _watchdog = watchdog("the_clock_is_the_schedules", 600);
    let body = r#"(func (export "_start")
        (local $began i64)
        (call $log (i32.wrap_i64 (call $now)))
        (local.set $began (call $now))
        (drop (i32.atomic.load (i32.const 0)))
        (call $log (call $since (local.get $began)))
        (local.set $began (call $now))
        (call $call (i32.const -1))
        (call $log (call $since (local.get $began)))
        (local.set $began (call $now))
        (call $sleep (i64.const 5000))
        (call $log (call $since (local.get $began))))"#;
    let scheduled = Scheduled::new(walk(1, 4)).start_time(77);
    let (outcome, values, _) = run(body, scheduled);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    // A point and a host call; then a host call, the point at which it sleeps, and the sleep.
    assert_eq!(values, [77, 20, -1, 100, 5100]);
    let scheduled = Scheduled::new(walk(1, 4)).point_time(3).host_call_time(7);
    let (_, values, _) = run(body, scheduled);
    assert_eq!(values, [0, 3, -1, 7, 5007]);
    // Before the group is built there is no time, and nothing happens.
    let scheduled = Scheduled::new(walk(1, 4)).start_time(5);
    let handle = scheduled.handle();
    assert_eq!(handle.now(), 0);
    assert!(handle.sleep_until(u64::MAX).is_ok() && handle.yield_now().is_ok());
    handle.not_reproducible("nobody hears it");
}

/// Two threads whose host calls are their only points.
const CALLS: &str = r#"
    (func (export "wasi_thread_start") (param i32) (param $arg i32)
      (call $call (local.get $arg)) (call $call (local.get $arg)) (call $call (local.get $arg))
      (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1))))
    (func (export "_start")
      (drop (call $spawn (i32.const 1)))
      (drop (call $spawn (i32.const 2)))
      (loop $l
        (call $yield)
        (br_if $l (i32.lt_u (i32.atomic.load (i32.const 0)) (i32.const 2)))))"#;

#[test]
fn host_calls_are_points() {
    let _watchdog = watchdog("host_calls_are_points", 600);
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..12 {
        let once = || run(CALLS, Scheduled::new(walk(seed, 1)));
        let (outcome, values, hash) = once();
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        let (_, again, same) = once();
        assert_eq!((again, same), (values.clone(), hash), "{seed}");
        orders.insert(values);
    }
    assert!(orders.len() > 4, "{orders:?}");
}

#[test]
fn who_sleeps_is_woken_in_the_order_of_time() {
    let _watchdog = watchdog("who_sleeps_is_woken_in_the_order_of_time", 600);
    let body = r#"
        (func (export "wasi_thread_start") (param i32) (param $arg i32)
          (call $sleep (i64.mul (i64.extend_i32_u (local.get $arg)) (i64.const 1000000000000)))
          (call $log (local.get $arg))
          (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
          (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
        (func (export "_start")
          (drop (call $spawn (i32.const 3)))
          (drop (call $spawn (i32.const 1)))
          (drop (call $spawn (i32.const 2)))
          (call $sleep (i64.const 9000000000000)))"#;
    for seed in 0..5 {
        let (outcome, values, _) = run(body, Scheduled::new(walk(seed, 2)));
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        assert_eq!(values, [1, 2, 3]);
    }
}

#[test]
fn what_depends_on_the_host_ends_the_run_with_its_reason() {
    let _watchdog = watchdog("what_depends_on_the_host", 600);
    let body = r#"(func (export "wasi_thread_start") (param i32 i32) (call $unlucky))
        (func (export "_start")
          (drop (call $spawn (i32.const 0)))
          (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))"#;
    let (outcome, ..) = run(body, Scheduled::new(walk(1, 2)));
    let Outcome::ScheduleFailed(ScheduleError::NotReproducible(why)) = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(why, "the wind has turned");
}

/// A host function that waits for the guest, and the guest for it.
#[test]
fn host_functions_wait_and_notify_in_their_turns() {
    let _watchdog = watchdog("host_functions_wait_and_notify", 600);
    let body = r#"(import "env" "memory" (memory 1 64 shared))
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "memory" "wait" (func $wait (param i64) (result i32)))
        (import "memory" "notify" (func $notify (result i32)))
        (import "host" "log" (func $log (param i32)))
        (export "memory" (memory 0))
        (func (export "wasi_thread_start") (param i32 i32)
          (call $log (call $wait (i64.const -1)))
          (i32.atomic.store (i32.const 0) (i32.const 0))
          (loop $l
            (br_if $l (i32.eqz (memory.atomic.notify (i32.const 0) (i32.const 1))))))
        (func (export "_start")
          (call $log (call $wait (i64.const 1000)))
          (drop (call $spawn (i32.const 0)))
          (loop $l (br_if $l (i32.eqz (call $notify))))
          (call $log (call $wait (i64.const -1))))"#;
    let engine = engine();
    let bytes = wat::parse_str(format!("(module {body})")).unwrap();
    let module = pointed(&engine, &bytes, Points::Atomics);
    for seed in 0..10 {
        let log = Arc::<Log>::default();
        let scheduled = Scheduled::new(walk(seed, 2));
        let handle = scheduled.handle();
        let memory = Arc::new(OnceLock::<HostMemory>::new());
        let mut linker = with_handle(&engine, &handle);
        let theirs = Arc::clone(&memory);
        linker
            .func_wrap("memory", "wait", move |timeout: i64| {
                let timeout = u64::try_from(timeout).ok().map(Duration::from_nanos);
                match theirs.get().unwrap().wait32(0, 0, timeout).unwrap() {
                    WaitOutcome::Woken => 0,
                    WaitOutcome::NotEqual => 1,
                    WaitOutcome::TimedOut => 2,
                    WaitOutcome::Ended => 3,
                }
            })
            .unwrap();
        let theirs = Arc::clone(&memory);
        linker
            .func_wrap("memory", "notify", move || -> wasmtime::Result<i32> {
                handle.host_call()?;
                Ok(theirs.get().unwrap().notify(0, 1).unwrap() as i32)
            })
            .unwrap();
        let group = ThreadGroup::builder(&engine, &module, linker)
            .state(data_of(&log))
            .schedule(Schedule::Policy(scheduled))
            .build()
            .unwrap();
        let _ = memory.set(group.host_memory().unwrap());
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        assert_eq!(*log.values.lock().unwrap(), [2, 0, 0], "{seed}");
    }
}

/// No thread of the group could know of a notify from elsewhere.
#[test]
fn a_notify_from_outside_is_not_reproducible() {
    let _watchdog = watchdog("a_notify_from_outside", 600);
    let body = r#"(func (export "_start")
        (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
        (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 4))))))"#;
    let engine = engine();
    let bytes = wat::parse_str(format!("(module {IMPORTS} {body})")).unwrap();
    let module = pointed(&engine, &bytes, Points::Atomics);
    let scheduled = Scheduled::new(walk(1, 2));
    let linker = with_handle(&engine, &scheduled.handle());
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&Arc::default()))
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    assert_eq!(group.host_memory().unwrap().notify(0, 1), Ok(0));
    let outcome = group.run("_start").unwrap();
    let failed = matches!(
        outcome,
        Outcome::ScheduleFailed(ScheduleError::NotReproducible(_))
    );
    assert!(failed, "{outcome:?}");
}

/// Records which thread woke which.
#[derive(Default)]
struct Wakes(Mutex<Vec<(u32, WaitEnd)>>);

impl Observer for Wakes {
    fn wait_ended(&self, wait: &Wait, end: WaitEnd) {
        let mut wakes = self.0.lock().unwrap();
        wakes.push((wait.thread.get(), end));
    }
}

#[test]
fn observers_and_reports_see_threads_as_they_are() {
    let _watchdog = watchdog("observers_and_reports", 600);
    let body = r#"(func (export "wasi_thread_start") (param i32 i32)
          (if (local.get 1)
            (then (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))
            (else (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))))
          (drop (memory.atomic.wait32 (i32.const 12) (i32.const 0) (i64.const -1))))
        (func (export "_start")
          (drop (call $spawn (i32.const 0)))
          (call $sleep (i64.const 1000000))
          (drop (call $spawn (i32.const 1)))
          (call $sleep (i64.const 1000000))
          (call $log (i32.const 0))
          (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 4))))))"#;
    let engine = engine();
    let bytes = wat::parse_str(format!("(module {IMPORTS} {body})")).unwrap();
    let module = pointed(&engine, &bytes, Points::Atomics);
    let scheduled = Scheduled::new(walk(1, 2));
    let linker = with_handle(&engine, &scheduled.handle());
    let (log, wakes) = (Arc::<Log>::default(), Arc::<Wakes>::default());
    let group = ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .observer(Arc::clone(&wakes) as Arc<dyn Observer>)
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    let handle = group.handle();
    let _cancel = CancelOnDrop(group.handle());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        let spins = || !log.values.lock().unwrap().is_empty();
        assert!(eventually(Duration::from_secs(30), spins));
        let report = handle.report(Duration::from_secs(20));
        let states: Vec<_> = report.threads.iter().map(|one| &one.state).collect();
        assert!(matches!(states[0], ThreadState::Running), "{states:?}");
        for state in &states[1..] {
            let ThreadState::Waiting(wait) = state else {
                panic!("{state:?}")
            };
            assert_eq!((wait.address, wait.timed), (Some(12), false));
            assert!(wait.backtrace.is_some());
        }
        assert_eq!(states.len(), 3);
        handle.cancel();
        run.join().unwrap();
    });
    let wakes = wakes.0.lock().unwrap();
    let (thread, end) = wakes[0];
    assert_eq!(thread, 1);
    let WaitEnd::Woken { by, notify } = end else {
        panic!("{end:?}")
    };
    assert_eq!(by.map(|by| by.get()), Some(2));
    assert!(notify.is_some());
    assert_eq!(
        wakes
            .iter()
            .filter(|(_, end)| *end == WaitEnd::Ended)
            .count(),
        2
    );
}
