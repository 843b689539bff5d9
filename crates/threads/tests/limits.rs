//! Each limit, hit; and settings of engine and group that contradict each other.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{
    GroupError, HOST_STACK_HEADROOM, Limits, Outcome, Pool, SpawnError, Termination, ThreadId,
};
use wasmtime::{Engine, Trap};

const EAGAIN: i32 = -6;

#[test]
fn threads_alive() {
    let _dog = watchdog("threads_alive", 60);
    // Four threads that stay, at a limit of three: the fourth spawn waits, then fails.
    let engine = engine();
    let log = Arc::<Log>::default();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $park))
               (func (export "_start")
                 (call $log (call $spawn (i32.const 0)))
                 (call $log (call $spawn (i32.const 0)))
                 (call $log (call $spawn (i32.const 0)))
                 (call $log (call $spawn (i32.const 0))))"#,
        ),
    );
    let wait = Duration::from_millis(80);
    let group = builder(&engine, &module, &log)
        .limits(Limits::new().threads(3).spawn_wait(wait))
        .build()
        .unwrap();
    let start = Instant::now();
    assert!(matches!(group.run("_start").unwrap(), Outcome::Returned));
    assert!(start.elapsed() >= wait);
    assert_eq!(*log.values.lock().unwrap(), [1, 2, 3, EAGAIN]);
    let failures = group.spawn_failures();
    assert_eq!(failures.count, 1);
    assert!(matches!(failures.last, Some(SpawnError::Limit(3))));
}

/// Spawn and join in a row, which never fails. The short form; `WASI_THREADS_STRESS` makes it
/// 1,000 times that number of threads.
#[test]
fn spawn_and_join_at_the_limit() {
    let stress = stress().unwrap_or(2);
    let _dog = watchdog("spawn_and_join_at_the_limit", 120 + 10 * u64::from(stress));
    let threads = stress * 1000;
    for limit in [1, 8] {
        for pool in [Pool::new(), Pool::new().idle(0)] {
            // The guest's join is the counter at 0, which it sees before the host can know. A
            // failed spawn is logged. Up to `limit` are joined at once.
            let body = format!(
                r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
                   (func (export "_start") (local $i i32) (local $j i32)
                     (loop $l
                       (local.set $j (i32.const 0))
                       (loop $batch
                         (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1))
                           (then (unreachable)))
                         (local.set $i (i32.add (local.get $i) (i32.const 1)))
                         (br_if $batch (i32.lt_u
                           (local.tee $j (i32.add (local.get $j) (i32.const 1)))
                           (i32.const {limit}))))
                       (call $await (i32.const 0) (local.get $i))
                       (br_if $l (i32.lt_u (local.get $i) (i32.const {threads})))))"#
            );
            let engine = engine();
            let module = Door::Prepared.module(&engine, &guest(&body));
            let group = builder(&engine, &module, &Arc::default())
                .limits(
                    Limits::new()
                        .threads(limit)
                        .spawn_wait(Duration::from_secs(10)),
                )
                .pool(pool)
                .build()
                .unwrap();
            let outcome = group.run("_start").unwrap();
            assert!(
                matches!(outcome, Outcome::Returned),
                "limit {limit}: {outcome:?}"
            );
            assert_eq!(group.spawn_failures().count, 0);
        }
        eprintln!(
            "{threads} threads spawned and joined at a limit of {limit}, with and without a pool"
        );
    }
}

#[test]
fn threads_ever() {
    let _dog = watchdog("threads_ever", 60);
    let (outcome, log) = run_with(
        r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
           (func (export "_start") (local $i i32)
             (loop $l
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
                 (then (call $await (i32.const 0) (local.get $i)) (br $l))))
             (call $log (local.get $i))
             (call $log (call $spawn (i32.const 0))))"#,
        Limits::new().threads_ever(5),
    );
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert_eq!(log, [6, EAGAIN]);
}

/// A wait that no clock can express is one for as long as it takes.
#[test]
fn a_spawn_waits_for_as_long_as_it_takes() {
    let _dog = watchdog("a_spawn_waits_for_as_long_as_it_takes", 60);
    let (outcome, log) = run_with(
        r#"(func (export "wasi_thread_start") (param i32 i32)
             (call $sleep (i32.const 100)) (call $signal (i32.const 0)))
           (func (export "_start")
             (call $log (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)))
             (call $log (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0)))
             (call $await (i32.const 0) (i32.const 2)))"#,
        Limits::new().threads(1).spawn_wait(Duration::MAX),
    );
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert_eq!(log, [1, 1]);
}

#[test]
fn timeout_ends_blocked_threads() {
    let _dog = watchdog("timeout_ends_blocked_threads", 60);
    for what in ["(call $park)", "(call $spin)", "(call $block)"] {
        let start = Instant::now();
        let (outcome, _) = run_with(
            &format!(
                r#"(func (export "wasi_thread_start") (param i32 i32) {what})
                   (func (export "_start")
                     (drop (call $spawn (i32.const 0)))
                     {what})"#
            ),
            Limits::new().timeout(Duration::from_millis(100)),
        );
        let took = start.elapsed();
        assert!(matches!(outcome, Outcome::TimedOut), "{what}: {outcome:?}");
        assert!(took >= Duration::from_millis(100), "{what}: {took:?}");
    }
}

#[test]
fn a_timeout_that_does_not_pass_changes_nothing() {
    let _dog = watchdog("a_timeout_that_does_not_pass_changes_nothing", 60);
    for timeout in [Duration::from_secs(600), Duration::MAX] {
        let (outcome, log) = run_with(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 1))
                 (call $log (i32.const 1)))"#,
            Limits::new().timeout(timeout),
        );
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        assert_eq!(log, [1]);
    }
}

#[test]
fn shared_memory_is_checked_before_it_is_reserved() {
    let engine = engine();
    // The prelude's memory: at most 64 pages.
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let build = |limit| {
        builder(&engine, &module, &Arc::default())
            .limits(Limits::new().shared_memory(limit))
            .build()
    };
    assert!(build(64 << 16).is_ok());
    match build((64 << 16) - 1) {
        Err(GroupError::SharedMemoryTooLarge { declared, limit }) => {
            assert_eq!((declared, limit), (64 << 16, (64 << 16) - 1));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn tables_memories_and_instances() {
    let _dog = watchdog("tables_memories_and_instances", 60);
    let engine = engine();
    let threaded = guest(
        r#"(table 10 20 funcref) (table 1 funcref)
           (func (export "wasi_thread_start") (param i32 i32)
             (call $log (table.grow 0 (ref.null func) (i32.const 1)))
             (call $signal (i32.const 0)))
           (func (export "_start")
             (call $log (table.grow 0 (ref.null func) (i32.const 1)))
             (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
               (then (call $await (i32.const 0) (i32.const 1)))))"#,
    );
    let module = Door::Prepared.module(&engine, &threaded);
    let run = |limits| {
        let log = Arc::<Log>::default();
        let group = builder(&engine, &module, &log)
            .limits(limits)
            .build()
            .unwrap();
        let outcome = group.run("_start");
        let values = log.values.lock().unwrap().clone();
        (outcome, values)
    };
    // In every thread: a table at its cap does not grow, below it does.
    let (outcome, log) = run(Limits::new().table_elements(10));
    assert!(matches!(outcome, Ok(Outcome::Returned)), "{outcome:?}");
    assert_eq!(log, [-1, -1]);
    let (outcome, log) = run(Limits::new().table_elements(11));
    assert!(matches!(outcome, Ok(Outcome::Returned)), "{outcome:?}");
    assert_eq!(log, [10, 10]);
    // Not counting the one that the preparation appended.
    let (outcome, log) = run(Limits::new().tables(2));
    assert!(matches!(outcome, Ok(Outcome::Returned)), "{outcome:?}");
    assert_eq!(log, [10, 10]);
    for limits in [
        Limits::new().table_elements(9),
        Limits::new().tables(1),
        Limits::new().instances(0),
    ] {
        let (outcome, _) = run(limits);
        assert!(
            matches!(outcome, Err(wasi_threads::RunError::Instantiate(_))),
            "{outcome:?}"
        );
    }
    let own = wat::parse_str(
        r#"(module (import "host" "log" (func $log (param i32)))
             (memory (export "memory") 1)
             (func (export "_start") (call $log (memory.grow (i32.const 1)))))"#,
    )
    .unwrap();
    let module = Door::Prepared.module(&engine, &own);
    for (bytes, grown) in [(1 << 16, -1), (2 << 16, 1)] {
        let log = Arc::<Log>::default();
        let group = builder(&engine, &module, &log)
            .limits(Limits::new().memory(bytes))
            .build()
            .unwrap();
        assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
        assert_eq!(*log.values.lock().unwrap(), [grown]);
    }
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().memories(0))
        .build()
        .unwrap();
    assert!(matches!(
        group.run("_start"),
        Err(wasi_threads::RunError::Instantiate(_))
    ));
}

/// The preparation's own table once counted, so that a program without any was refused.
#[test]
fn the_appended_table_is_not_the_guests() {
    let _dog = watchdog("the_appended_table_is_not_the_guests", 60);
    let engine = engine();
    let starts = r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)))
                    (func (export "_start")
                      (if (i32.gt_s (call $spawn (i32.const 0)) (i32.const 0))
                        (then (call $await (i32.const 0) (i32.const 1)))
                        (else (unreachable))))"#;
    let run = |tables: &str, limits: Limits| {
        let module = Door::Prepared.module(&engine, &guest(&format!("{tables} {starts}")));
        let group = builder(&engine, &module, &Arc::default());
        group.limits(limits).build().unwrap().run("_start")
    };
    let none = Limits::new().tables(0).table_elements(0);
    for limits in [none.clone(), none.trap_on_grow_failure(true)] {
        let outcome = run("", limits.clone());
        assert!(matches!(outcome, Ok(Outcome::Returned)), "{outcome:?}");
        for table in ["(table 4 4 funcref)", "(table 1 funcref)"] {
            let outcome = run(table, limits.clone());
            assert!(
                matches!(outcome, Err(wasi_threads::RunError::Instantiate(_))),
                "{table}: {outcome:?}"
            );
        }
    }
    // A table of the guest's may be as long as the limit says, and no longer.
    let one = Limits::new().tables(1).table_elements(5);
    assert!(matches!(
        run("(table 5 5 funcref)", one.clone()),
        Ok(Outcome::Returned)
    ));
    for tables in ["(table 6 6 funcref)", "(table 1 funcref) (table 1 funcref)"] {
        let outcome = run(tables, one.clone());
        assert!(
            matches!(outcome, Err(wasi_threads::RunError::Instantiate(_))),
            "{tables}: {outcome:?}"
        );
    }
}

/// Deep recursion at the smallest host stack that is permitted, everywhere it can happen.
#[test]
fn recursion_at_the_smallest_stack_traps() {
    let _dog = watchdog("recursion_at_the_smallest_stack_traps", 120);
    for wasm_stack in [64 << 10, 512 << 10] {
        let mut config = config();
        config.max_wasm_stack(wasm_stack);
        let engine = Engine::new(&config).unwrap();
        let limits = Limits::new().host_stack(wasm_stack + HOST_STACK_HEADROOM);
        let recurse = "(func $deep (param i32) (result i32) \
             (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))";
        // Calls a host function at every depth, so that one is called at the very end.
        let beneath = "(func $deep (param i32) (result i32) (call $count) (drop (call $spawn (i32.const 1))) \
             (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))";
        let child = r#"(func (export "wasi_thread_start") (param i32) (param $arg i32)
                         (if (i32.eqz (local.get $arg)) (then (drop (call $deep (i32.const 0))))))"#;
        let in_main = r#"(func (export "_start") (drop (call $deep (i32.const 0))))"#;
        let in_child =
            r#"(func (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#;
        let in_start =
            r#"(start $s) (func $s (drop (call $deep (i32.const 0)))) (func (export "_start"))"#;
        for deep in [recurse, beneath] {
            for (entry, from_main) in [(in_main, true), (in_child, false), (in_start, true)] {
                for door in DOORS {
                    let module = door.module(&engine, &guest(&format!("{deep} {child} {entry}")));
                    let group = builder(&engine, &module, &Arc::default())
                        .limits(limits.clone().threads(1).spawn_wait(Duration::ZERO))
                        .build()
                        .unwrap();
                    let outcome = group.run("_start").unwrap();
                    let Outcome::Trapped { thread, trap, .. } = &outcome else {
                        panic!("{door:?} {deep} {entry}: {outcome:?}");
                    };
                    assert_eq!(*trap, Some(Trap::StackOverflow), "{door:?} {deep} {entry}");
                    // A child runs the start function as well.
                    if entry != in_start || deep != beneath {
                        assert_eq!(*thread == ThreadId::MAIN, from_main);
                    }
                }
            }
        }
    }
}

/// The same where host code stands between: a host function that calls back into the guest, and a
/// reactor's call.
#[test]
fn recursion_beneath_a_host_call_traps() {
    let _dog = watchdog("recursion_beneath_a_host_call_traps", 120);
    let wasm_stack = 64 << 10;
    let mut config = config();
    config.max_wasm_stack(wasm_stack);
    let engine = Engine::new(&config).unwrap();
    let limits = Limits::new().host_stack(wasm_stack + HOST_STACK_HEADROOM);
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "back" (func $back (param i32))) {PRELUDE}
             ;; Half of the way, then through the host, and on.
             (func $deep (export "deep") (param i32)
               (call $deep (i32.add (local.get 0) (i32.const 1))))
             (func $half (param i32)
               (if (i32.eqz (local.get 0)) (then (call $back (i32.const 0)) (unreachable)))
               (call $half (i32.sub (local.get 0) (i32.const 1))))
             ;; Through the host at every step.
             (func (export "bounce") (param i32) (call $back (i32.const 1)))
             (func (export "wasi_thread_start") (param i32) (param $arg i32)
               (call $from (local.get $arg)))
             (func $from (export "from") (param i32)
               (if (local.get 0) (then (call $back (i32.const 1))) (else (call $half (i32.const 200)))))
             (func (export "in_child") (param i32) (drop (call $spawn (local.get 0))) (call $park)))"#
    ))
    .unwrap();
    let mut linker = linker(&engine);
    linker
        .func_wrap(
            "host",
            "back",
            |mut caller: wasmtime::Caller<'_, Data>, which: i32| -> wasmtime::Result<()> {
                let name = ["deep", "bounce"][which as usize];
                let function = caller
                    .get_export(name)
                    .and_then(wasmtime::Extern::into_func);
                function
                    .unwrap()
                    .typed::<i32, ()>(&caller)?
                    .call(&mut caller, 0)
            },
        )
        .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    for entry in ["from", "in_child"] {
        for bounce in [0, 1] {
            for reactor in [false, true] {
                let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker.clone())
                    .limits(limits.clone())
                    .state(data_of(&Arc::default()))
                    .build()
                    .unwrap();
                let params = [wasmtime::Val::I32(bounce)];
                let outcome = if reactor {
                    match group.into_reactor().unwrap().invoke(entry, &params) {
                        Err(wasi_threads::CallError::Ended(outcome)) => outcome,
                        other => panic!("{other:?}"),
                    }
                } else {
                    group.invoke(entry, &params).unwrap().0
                };
                let Outcome::Trapped { thread, trap, .. } = &outcome else {
                    panic!("{entry} {bounce}: {outcome:?}");
                };
                assert_eq!(*trap, Some(Trap::StackOverflow), "{entry} {bounce}");
                assert_eq!(*thread == ThreadId::MAIN, entry == "from");
            }
        }
    }
}

#[test]
fn contradictions_have_names() {
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let build = |limits| {
        builder(&engine, &module, &Arc::default())
            .limits(limits)
            .build()
    };
    let wasm_stack = engine.get_max_wasm_stack();
    match build(Limits::new().host_stack(256 << 10)) {
        Err(GroupError::HostStackTooSmall {
            host_stack,
            wasm_stack: found,
        }) => {
            assert_eq!((host_stack, found), (256 << 10, wasm_stack));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(
        build(Limits::new().wasm_stack(wasm_stack - 1)),
        Err(GroupError::WasmStackTooLarge { .. })
    ));
    assert!(build(Limits::new().wasm_stack(wasm_stack)).is_ok());
    #[cfg(feature = "async")]
    assert!(matches!(
        build(Limits::new().fuel(1)),
        Err(GroupError::FuelDisabled)
    ));

    #[cfg(feature = "async")]
    {
        let mut tight = config();
        tight.async_stack_size(wasm_stack + HOST_STACK_HEADROOM - 1);
        let tight = Engine::new(&tight).unwrap();
        let tight_module = Door::Prepared.module(&tight, &guest(r#"(func (export "_start"))"#));
        assert!(matches!(
            builder(&tight, &tight_module, &Arc::default())
                .async_host_functions(true)
                .build(),
            Err(GroupError::AsyncStackTooSmall { .. })
        ));
    }

    let mut config = config();
    config.epoch_interruption(false);
    let no_epochs = Engine::new(&config).unwrap();
    let module = Door::Prepared.module(&no_epochs, &guest(r#"(func (export "_start"))"#));
    assert!(matches!(
        builder(&no_epochs, &module, &Arc::default()).build(),
        Err(GroupError::EpochsDisabled)
    ));
    let group = builder(&no_epochs, &module, &Arc::default())
        .termination(Termination::AtHostCalls)
        .build()
        .unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
}

/// A host stack the operating system cannot give is an error of the run, not a panic.
#[test]
fn a_host_thread_that_cannot_be_had() {
    let _dog = watchdog("a_host_thread_that_cannot_be_had", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let group = builder(&engine, &module, &Arc::default())
        .limits(Limits::new().host_stack(1 << 60))
        .build()
        .unwrap();
    assert!(matches!(
        group.run("_start"),
        Err(wasi_threads::RunError::HostThread(_))
    ));
}
