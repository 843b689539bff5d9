//! Shared memories that a module defines itself, and waits that are wasmtime's.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::rewrite::RewriteOptions;
use wasi_threads::waits::WaitOutcome;
use wasi_threads::{GroupError, Limits, Outcome, ThreadModule, prepare, prepare_with};
use wasmtime::{Engine, Module};

/// Prepared, but for its waits.
fn waits_left(engine: &Engine, bytes: &[u8]) -> ThreadModule {
    let mut options = RewriteOptions::default();
    options.waits = false;
    prepare_with(engine, bytes, &options).unwrap()
}

fn unprepared(engine: &Engine, bytes: &[u8]) -> ThreadModule {
    ThreadModule::from_unprepared(Module::from_binary(engine, bytes).unwrap())
}

/// Threads that wait, inside wasmtime, on a memory that is not shared with others.
#[test]
fn waits_on_an_own_memory_end() {
    let _dog = watchdog("waits_on_an_own_memory_end", 60);
    let engine = engine();
    let wait = "(drop (memory.atomic.wait32 $own (i32.const 8) (i32.const 0) (i64.const -1)))";
    let alone = |export: &str| {
        wat::parse_str(format!(
            r#"(module (memory $own {export} 1 1 shared) (func (export "_start") {wait}))"#
        ))
        .unwrap()
    };
    let threaded = |export: &str| {
        guest(&format!(
            r#"(memory $own {export} 1 2 shared)
               (func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 0)) {wait})
               (func (export "_start")
                 (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0)))
                 (call $await (i32.const 0) (i32.const 2)) {wait})"#
        ))
    };
    let exported = r#"(export "own")"#;
    let modules = [
        unprepared(&engine, &alone(exported)),
        unprepared(&engine, &threaded(exported)),
        waits_left(&engine, &alone(exported)),
        waits_left(&engine, &alone("")),
        waits_left(&engine, &threaded(exported)),
        waits_left(&engine, &threaded("")),
    ];
    for (index, module) in modules.iter().enumerate() {
        let group = builder(&engine, module, &Arc::default())
            .limits(Limits::new().timeout(Duration::from_millis(100)))
            .build()
            .unwrap();
        let start = Instant::now();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::TimedOut), "{index}: {outcome:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
    }
}

/// The same of a reactor, whose calls have no other supervisor.
#[test]
fn a_reactors_wait_on_an_own_memory_ends() {
    let _dog = watchdog("a_reactors_wait_on_an_own_memory_ends", 60);
    let engine = engine();
    let bytes = wat::parse_str(
        r#"(module (memory (export "own") 1 1 shared)
             (func (export "f") (loop $l
               (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))
               (br $l))))"#,
    )
    .unwrap();
    let reactor = builder(&engine, &unprepared(&engine, &bytes), &Arc::default())
        .limits(Limits::new().timeout(Duration::from_millis(100)))
        .build()
        .unwrap()
        .into_reactor()
        .unwrap();
    match reactor.call::<(), ()>("f", ()) {
        Err(wasi_threads::CallError::Ended(Outcome::TimedOut)) => {}
        other => panic!("{other:?}"),
    }
}

/// Wasmtime asks no limiter about their growth: their maximum is what is limited, before anything
/// is made.
#[test]
fn an_own_shared_memory_is_limited() {
    let _dog = watchdog("an_own_shared_memory_is_limited", 60);
    let engine = engine();
    let limit = 16 << 20;
    let too_large = |bytes: &[u8], module: &dyn Fn(&Engine, &[u8]) -> ThreadModule| {
        let module = module(&engine, bytes);
        let group = builder(&engine, &module, &Arc::default())
            .limits(Limits::new().memory(16 << 20).shared_memory(limit))
            .build();
        match group {
            Err(GroupError::SharedMemoryTooLarge { declared, .. }) => declared == 1 << 32,
            Err(GroupError::MemoryHidden) => false,
            other => panic!("{other:?}"),
        }
    };
    let prepared = |engine: &Engine, bytes: &[u8]| prepare(engine, bytes).unwrap();
    for export in [r#"(export "own")"#, ""] {
        let alone = wat::parse_str(format!(
            r#"(module (memory {export} 1 65536 shared)
                 (func (export "_start") (drop (memory.grow (i32.const 65535)))))"#
        ))
        .unwrap();
        let beside = guest(&format!(
            r#"(memory $own {export} 1 65536 shared)
               (func (export "_start") (drop (memory.grow $own (i32.const 65535))))"#
        ));
        for bytes in [&alone, &beside] {
            assert!(too_large(bytes, &prepared));
            assert!(too_large(bytes, &waits_left));
            // What cannot be seen cannot be limited.
            assert_eq!(too_large(bytes, &unprepared), !export.is_empty());
        }
    }
    // Within the limit they are as they were.
    let small = guest(r#"(memory $own 1 256 shared) (func (export "_start"))"#);
    for module in [prepared(&engine, &small), waits_left(&engine, &small)] {
        let group = builder(&engine, &module, &Arc::default())
            .limits(Limits::new().shared_memory(limit))
            .build()
            .unwrap();
        assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    }
    let hidden = wat::parse_str(r#"(module (memory 1) (func (export "_start")))"#).unwrap();
    let module = unprepared(&engine, &hidden);
    assert!(builder(&engine, &module, &Arc::default()).build().is_ok());
}

/// A library's own as well.
#[test]
fn a_preloaded_modules_own_shared_memory_is_limited() {
    let engine = engine();
    let library = wat::parse_str(
        r#"(module (memory 1 65536 shared) (func (export "f") (result i32)
             (memory.grow (i32.const 65535))))"#,
    )
    .unwrap();
    let main = wat::parse_str(
        r#"(module (import "lib" "f" (func $f (result i32)))
             (func (export "_start") (drop (call $f))))"#,
    )
    .unwrap();
    let group = builder(&engine, &prepare(&engine, &main).unwrap(), &Arc::default())
        .preload("lib", &prepare(&engine, &library).unwrap())
        .limits(Limits::new().shared_memory(16 << 20))
        .build();
    assert!(
        matches!(group, Err(GroupError::SharedMemoryTooLarge { .. })),
        "{group:?}"
    );
    // One that has nothing but its memory.
    let library = wat::parse_str("(module (memory 65536 65536 shared))").unwrap();
    let main = wat::parse_str(r#"(module (func (export "_start")))"#).unwrap();
    let group = builder(&engine, &prepare(&engine, &main).unwrap(), &Arc::default())
        .preload("lib", &prepare(&engine, &library).unwrap())
        .limits(Limits::new().shared_memory(16 << 20))
        .build();
    assert!(
        matches!(group, Err(GroupError::SharedMemoryTooLarge { .. })),
        "{group:?}"
    );
}

/// An embedder's thread that waits on an unprepared group's memory is woken by its end, also where
/// the guest's threads end by themselves; and a wait begun after the end does not begin.
#[test]
fn an_unprepared_groups_end_wakes_the_host() {
    let _dog = watchdog("an_unprepared_groups_end_wakes_the_host", 60);
    let engine = engine();
    let module = Door::Unprepared.module(
        &engine,
        &guest(r#"(func (export "_start") (call $await (i32.const 0) (i32.const 1)))"#),
    );
    for _ in 0..20 {
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        let memory = group.host_memory().unwrap();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| group.run("_start").unwrap());
            let waits = [
                scope.spawn(|| memory.wait32(256, 0, None).unwrap()),
                scope.spawn(|| memory.wait64(512, 0, None).unwrap()),
            ];
            std::thread::sleep(Duration::from_millis(5));
            memory.store32(0, 1).unwrap();
            memory.notify(0, 1).unwrap();
            assert!(matches!(run.join().unwrap(), Outcome::Returned));
            for wait in waits {
                assert_eq!(wait.join().unwrap(), WaitOutcome::Ended);
            }
        });
        assert_eq!(memory.wait32(256, 0, None).unwrap(), WaitOutcome::Ended);
        assert_eq!(memory.wait64(256, 0, None).unwrap(), WaitOutcome::Ended);
    }
}

/// A handle to a group that is gone does not keep its memory.
#[cfg(target_os = "linux")]
#[test]
fn a_handle_keeps_no_memory() {
    // Where no other thread maps anything.
    if !in_a_process("a_handle_keeps_no_memory", "true") {
        return;
    }
    let _dog = watchdog("a_handle_keeps_no_memory", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    let memory = group.memory().unwrap();
    let start = memory.data().as_ptr().addr();
    // The mapping that has the memory's first byte, and is writable.
    let mapped = || {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        maps.lines().any(|line| {
            let (range, rest) = line.split_once(' ').unwrap();
            let (from, to) = range.split_once('-').unwrap();
            let at = |text| usize::from_str_radix(text, 16).unwrap();
            (at(from)..at(to)).contains(&start) && rest.starts_with("rw")
        })
    };
    assert!(mapped());
    let handle = group.handle();
    drop(group);
    assert!(!mapped());
    assert!(handle.is_ended());
}
