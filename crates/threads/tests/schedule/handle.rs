//! What host functions do under a schedule.

use std::sync::Arc;

use wasi_threads::rewrite::Points;
use wasi_threads::schedule::{Schedule, ScheduleError, ScheduleHandle, Scheduled};
use wasi_threads::{Outcome, ThreadGroup};
use wasmtime::{Caller, Linker};

use super::support::{Data, Log, data_of, engine, linker, watchdog};
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
    let _watchdog = watchdog("the_clock_is_the_schedules", 60);
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
    // A point, a host call; and then a host call, the point at which it sleeps, and the sleep.
    assert_eq!(values, [77, 20, -1, 100, 5100]);
    let scheduled = Scheduled::new(walk(1, 4)).point_time(3).host_call_time(7);
    let (_, values, _) = run(body, scheduled);
    assert_eq!(values, [0, 3, -1, 7, 5007]);
    // Before its group there is no time, and nothing happens.
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
    let _watchdog = watchdog("host_calls_are_points", 120);
    let mut orders = std::collections::BTreeSet::new();
    for seed in 0..30 {
        let once = || run(CALLS, Scheduled::new(walk(seed, 1)));
        let (outcome, values, hash) = once();
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        assert_eq!((once().1, once().2), (values.clone(), hash), "{seed}");
        orders.insert(values);
    }
    assert!(orders.len() > 5, "{orders:?}");
}

#[test]
fn who_sleeps_is_woken_in_the_order_of_time() {
    let _watchdog = watchdog("who_sleeps_is_woken_in_the_order_of_time", 60);
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
    let _watchdog = watchdog("what_depends_on_the_host", 60);
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
