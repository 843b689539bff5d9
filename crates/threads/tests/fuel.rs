//! The group's fuel: one pool, which every thread can use up, and which bounds what all of them
//! consume.
#![cfg(feature = "async")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{CallError, Limits, Outcome, Pool, Reactor};
use wasmtime::{Engine, Trap};

fn fuel_engine() -> Engine {
    let mut config = config();
    config.consume_fuel(true);
    Engine::new(&config).unwrap()
}

/// A child and then main each count to `n`, with a host call after every 100.
fn counting(n: u32) -> String {
    format!(
        r#"(func $work (local $i i32)
             (loop $l
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (if (i32.eqz (i32.rem_u (local.get $i) (i32.const 100))) (then (call $count)))
               (br_if $l (i32.lt_u (local.get $i) (i32.const {n})))))
           (func (export "wasi_thread_start") (param i32 i32)
             (call $work) (call $signal (i32.const 0)))
           (func (export "_start")
             (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
             (call $await (i32.const 0) (i32.const 1))
             (call $work))"#
    )
}

/// Counts to its parameter without a host call: about nine units each.
const COUNT_TO: &str = r#"
    (func $count_to (param $n i32) (local $i i32)
      (loop $l
        (br_if $l (i32.lt_u
          (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))"#;

/// The outcome with this much fuel, and what is left of it.
fn run(engine: &Engine, body: &str, fuel: u64) -> (Outcome, u64) {
    let module = Door::Prepared.module(engine, &guest(body));
    let group = builder(engine, &module, &Arc::default())
        .limits(Limits::new().fuel(fuel))
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(group.spawn_failures().last.is_none());
    (outcome, group.fuel_left().unwrap())
}

fn assert_out_of_fuel(outcome: &Outcome) {
    let Outcome::Trapped { trap, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(*trap, Some(Trap::OutOfFuel));
}

#[test]
fn fuel_is_one_pool_for_the_group() {
    let _dog = watchdog("fuel_is_one_pool_for_the_group", 60);
    let engine = fuel_engine();
    let body = counting(10_000);
    // What both threads need: seen with plenty.
    let plenty = 10_000_000;
    let (outcome, left) = run(&engine, &body, plenty);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let need = plenty - left;
    assert!(need > 100_000, "{need}");
    // A little more than that is enough as well, however it comes to be divided.
    let (outcome, left) = run(&engine, &body, need + need / 10);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    // How often main looks before it waits differs from run to run.
    assert!(
        left.abs_diff(need / 10) < need / 10,
        "{left} of {need} left"
    );
    // Enough for one of them, not for both.
    let (outcome, left) = run(&engine, &body, need * 3 / 4);
    assert_out_of_fuel(&outcome);
    // What the thread that did not trap had drawn and not used came back at its end.
    assert!(left < need / 10, "{left} left");
}

/// Instantiation runs code of wasmtime's own where a module has active data on an imported memory,
/// or passive elements. It consumes fuel, in the store of a thread that has not begun.
#[test]
fn spawns_have_fuel_for_segments() {
    let _dog = watchdog("spawns_have_fuel_for_segments", 60);
    let engine = fuel_engine();
    for segment in [
        r#"(data (i32.const 1024) "x")"#,
        r#"(elem $e func $work)"#,
        r#"(data (i32.const 1024) "x") (elem $e func $work) (start $s) (func $s)"#,
    ] {
        let body = counting(1_000) + segment;
        for pool in [Pool::new(), Pool::new().prewarmed(0)] {
            for door in DOORS {
                let module = door.module(&engine, &guest(&body));
                let group = builder(&engine, &module, &Arc::default())
                    .limits(Limits::new().fuel(10_000_000))
                    .pool(pool.clone())
                    .build()
                    .unwrap();
                let outcome = group.run("_start").unwrap();
                let why = group.spawn_failures().last;
                assert!(
                    matches!(outcome, Outcome::Returned),
                    "{segment}, {door:?}: {outcome:?}, {why:?}"
                );
            }
        }
    }
}

/// Instances are made ahead where instantiation consumes fuel, and what it leaves is not lost.
#[test]
fn instances_are_made_ahead_with_fuel() {
    use std::sync::atomic::{AtomicU32, Ordering};
    struct SeesAhead(AtomicU32);
    impl wasi_threads::Observer for SeesAhead {
        fn spawned(&self, spawn: &wasi_threads::Spawn) {
            self.0
                .fetch_add(u32::from(spawn.made_ahead), Ordering::SeqCst);
        }
    }
    let _dog = watchdog("instances_are_made_ahead_with_fuel", 60);
    let engine = fuel_engine();
    let body = r#"(elem $e func $park)
        (func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
        (func (export "_start") (local $i i32)
          (loop $l
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
            (call $await (i32.const 0) (local.get $i))
            (call $sleep (i32.const 2))
            (br_if $l (i32.lt_u (local.get $i) (i32.const 20)))))"#;
    let module = Door::Prepared.module(&engine, &guest(body));
    let seen = Arc::new(SeesAhead(AtomicU32::new(0)));
    let observer: Arc<dyn wasi_threads::Observer> = seen.clone();
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().fuel(100_000))
        .observer(observer)
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert!(seen.0.load(Ordering::SeqCst) > 0);
    let left = group.fuel_left().unwrap();
    assert!((50_000..100_000).contains(&left), "{left} left");
}

/// One thread between two host calls can use all that the group has: alone, beside others that
/// wait, and after others that have ended.
#[test]
fn one_thread_can_use_all_of_the_fuel() {
    let _dog = watchdog("one_thread_can_use_all_of_the_fuel", 120);
    let engine = fuel_engine();
    let spawn = "(if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))";
    let entry =
        |what: &str| format!(r#"(func (export "wasi_thread_start") (param i32 i32) {what})"#);
    let signals = entry("(call $signal (i32.const 0))");
    let parks = entry("(call $signal (i32.const 0)) (call $park)");
    let blocks = entry("(call $signal (i32.const 0)) (call $block)");
    let works = entry("(call $count_to (i32.const 1000000)) (call $signal (i32.const 0))");
    let spawned = format!("{spawn} {spawn} {spawn} (call $await (i32.const 0) (i32.const 3))");
    let work = "(call $count_to (i32.const 1000000))";
    let cases = [
        ("alone", signals.as_str(), String::new(), work),
        ("after others", signals.as_str(), spawned.clone(), work),
        ("beside waiting ones", parks.as_str(), spawned.clone(), work),
        ("beside blocked ones", blocks.as_str(), spawned, work),
        (
            "a child",
            works.as_str(),
            format!("{spawn} (call $await (i32.const 0) (i32.const 1))"),
            "",
        ),
    ];
    for (what, entry, before, work) in cases {
        let body = format!(r#"{COUNT_TO} {entry} (func (export "_start") {before} {work})"#);
        let plenty = 1_000_000_000;
        let (outcome, left) = run(&engine, &body, plenty);
        assert!(matches!(outcome, Outcome::Returned), "{what}: {outcome:?}");
        let need = plenty - left;
        assert!(need > 5_000_000, "{what}: {need}");
        // A tenth is for what others hold that are in host calls.
        let (outcome, left) = run(&engine, &body, need + need / 10);
        assert!(matches!(outcome, Outcome::Returned), "{what}: {outcome:?}");
        assert!(left < need / 5, "{what}: {left} of {need} left");
        let (outcome, left) = run(&engine, &body, need - need / 10);
        assert_out_of_fuel(&outcome);
        assert!(left < need / 10, "{what}: {left} of {need} left");
    }
}

/// Alone, a thread stops where it would in a store of wasmtime's with as much fuel.
#[test]
fn alone_it_is_exact() {
    let _dog = watchdog("alone_it_is_exact", 60);
    let engine = fuel_engine();
    let body = format!(
        r#"{COUNT_TO} (func (export "_start")
             (call $count_to (i32.const 1000)) (call $count) (call $count_to (i32.const 1000)))"#
    );
    let (outcome, left) = run(&engine, &body, 1_000_000);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let need = 1_000_000 - left;
    let (outcome, left) = run(&engine, &body, need + 1);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert_eq!(left, 1);
    let (outcome, left) = run(&engine, &body, need - 10);
    assert_out_of_fuel(&outcome);
    assert_eq!(left, 0);
}

/// What all threads together consume is bounded, also where none of them calls the host.
#[test]
fn spinning_threads_end_when_the_fuel_does() {
    let _dog = watchdog("spinning_threads_end_when_the_fuel_does", 120);
    let engine = fuel_engine();
    let body = r#"
        (func (export "wasi_thread_start") (param i32 i32) (call $spin))
        (func (export "_start")
          (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0))) (call $spin))"#;
    let start = Instant::now();
    let (outcome, left) = run(&engine, body, 10_000_000);
    assert_out_of_fuel(&outcome);
    assert!(left < 2_000_000, "{left} left");
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Operations that wasmtime calls the host for, which are no host calls of the guest's, cost the
/// group nothing.
#[test]
fn bulk_operations_draw_nothing() {
    let _dog = watchdog("bulk_operations_draw_nothing", 60);
    let engine = fuel_engine();
    // 100 bytes are filled 10,000 times, with little fuel left in what was drawn last.
    let body = r#"
        (table $t 10 100 funcref)
        (func $leaf)
        (func $work (local $i i32)
          (loop $l
            (call $leaf)
            (memory.fill (i32.const 2048) (i32.const 0) (i32.const 200))
            (drop (table.grow $t (ref.null func) (i32.const 100)))
            (br_if $l (i32.lt_u
              (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000)))))
        (func (export "wasi_thread_start") (param i32 i32) (call $work) (call $signal (i32.const 0)))
        (func (export "_start")
          (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0)))
          (call $await (i32.const 0) (i32.const 2)))"#;
    let plenty = 1_000_000_000;
    let (outcome, left) = run(&engine, body, plenty);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let need = plenty - left;
    let (outcome, left) = run(&engine, body, need + need / 4);
    assert!(
        matches!(outcome, Outcome::Returned),
        "{outcome:?} {need} {left}"
    );
}

/// A reactor's calls, in a row, with all of the pool left for the next.
#[test]
fn calls_of_a_reactor_draw() {
    let _dog = watchdog("calls_of_a_reactor_draw", 60);
    let engine = fuel_engine();
    let body = format!(
        r#"{COUNT_TO}
           (func (export "f") (param i32) (call $count_to (local.get 0)))
           (func (export "spawn") (result i32) (call $spawn (i32.const 0)))
           (func (export "await") (call $await (i32.const 0) (i32.const 1)))
           (func (export "wasi_thread_start") (param i32 i32)
             (call $count_to (i32.const 100000)) (call $signal (i32.const 0)))"#
    );
    let module = Door::Prepared.module(&engine, &guest(&body));
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().fuel(100_000_000))
        .build()
        .unwrap();
    let reactor: Reactor<_> = group.into_reactor().unwrap();
    let left = || reactor.group().fuel_left().unwrap();
    assert_eq!(left(), 100_000_000);
    for _ in 0..5 {
        reactor.call::<i32, ()>("f", 100_000).unwrap();
    }
    let used = 100_000_000 - left();
    assert!((2_500_000..10_000_000).contains(&used), "{used}");
    assert!(reactor.call::<(), i32>("spawn", ()).unwrap() > 0);
    reactor.call::<(), ()>("await", ()).unwrap();
    match reactor.call::<i32, ()>("f", i32::MAX) {
        Err(CallError::Ended(outcome)) => assert_out_of_fuel(&outcome),
        other => panic!("{other:?}"),
    }
    reactor.finish();
    assert!(left() < 10_000_000, "{}", left());
}

#[test]
fn an_engine_with_fuel_and_a_group_without() {
    let _dog = watchdog("an_engine_with_fuel_and_a_group_without", 60);
    let engine = fuel_engine();
    let module = Door::Prepared.module(&engine, &guest(&counting(1_000)));
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert_eq!(group.fuel_left(), None);
}
