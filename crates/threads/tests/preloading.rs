//! Preloaded modules, with an instance of each in every thread.

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use support::*;
use wasi_threads::{GroupError, Outcome, RunError, ThreadGroup, ThreadModule, prepare};
use wasmtime::{Engine, Val};

fn prepared(engine: &Engine, text: &str) -> ThreadModule {
    prepare(engine, &wat::parse_str(text).unwrap()).unwrap()
}

/// A library with a global of its own, which its start function sets. It waits on the group's
/// memory, calls a function of the host, and has an initialisation that runs once for the group.
const LIBRARY: &str = r#"(module
    (import "env" "memory" (memory 1 64 shared))
    (import "host" "count" (func $count))
    (global $mine (mut i32) (i32.const 0))
    (start $begin)
    (func $begin (global.set $mine (i32.const 5)))
    (func (export "_initialize")
      (drop (i32.atomic.rmw.add (i32.const 512) (i32.const 1))))
    (func (export "next") (result i32)
      (call $count)
      (global.set $mine (i32.add (global.get $mine) (i32.const 1)))
      (global.get $mine))
    (func (export "park")
      (drop (memory.atomic.wait32 (i32.const 600) (i32.const 0) (i64.const -1)))))"#;

const USES: &str = r#"
    (import "lib" "next" (func $next (result i32)))
    (import "lib" "park" (func $lib_park))"#;

fn uses(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {USES} {PRELUDE} {body})")).unwrap()
}

#[test]
fn every_thread_has_its_own_instance() {
    let _dog = watchdog("every_thread_has_its_own_instance", 60);
    let engine = engine();
    let library = prepared(&engine, LIBRARY);
    // A second library, which imports from the first.
    let upper = prepared(
        &engine,
        r#"(module (import "lib" "next" (func $next (result i32)))
             (func (export "twice") (result i32) (drop (call $next)) (call $next)))"#,
    );
    let bytes = wat::parse_str(format!(
        r#"(module (import "upper" "twice" (func $twice (result i32))) {USES} {PRELUDE}
             (func (export "wasi_thread_start") (param i32 i32)
               (call $log (call $next))
               (call $signal (i32.const 0)))
             (func (export "_start") (local $i i32)
               (call $log (call $twice))
               (loop $l
                 (drop (call $spawn (i32.const 0)))
                 (local.set $i (i32.add (local.get $i) (i32.const 1)))
                 (call $await (i32.const 0) (local.get $i))
                 (br_if $l (i32.lt_u (local.get $i) (i32.const 20))))
               (call $log (call $next))
               (call $log (i32.atomic.load (i32.const 512)))))"#
    ))
    .unwrap();
    for door in DOORS {
        let module = door.module(&engine, &bytes);
        let log = Arc::<Log>::default();
        let group = builder(&engine, &module, &log)
            .preload("lib", &library)
            .preload("upper", &upper)
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(
            matches!(outcome, Outcome::Returned),
            "{door:?}: {outcome:?}"
        );
        let mut expected = vec![7];
        expected.extend([6; 20]);
        // Main's own went on; the initialisation ran once.
        expected.extend([8, 1]);
        assert_eq!(*log.values.lock().unwrap(), expected, "{door:?}");
        assert_eq!(log.count.load(Ordering::SeqCst), 23);
    }
}

/// Threads that wait in a preloaded module are ended, seen in reports, and found stuck.
#[test]
fn waits_of_a_preloaded_module_reach_the_group() {
    let _dog = watchdog("waits_of_a_preloaded_module_reach_the_group", 60);
    let engine = engine();
    let library = prepared(&engine, LIBRARY);
    let bytes = uses(
        r#"(func (export "wasi_thread_start") (param i32 i32) (call $lib_park))
           (func (export "_start") (drop (call $spawn (i32.const 0))) (call $lib_park))"#,
    );
    let module = Door::Prepared.module(&engine, &bytes);
    let group = builder(&engine, &module, &Arc::default())
        .preload("lib", &library)
        .detect_deadlock(true)
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    let Outcome::Deadlocked(deadlock) = &outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(deadlock.threads.len(), 2);
    for thread in &deadlock.threads {
        assert_eq!((thread.address, thread.memory), (Some(600), Some(0)));
        let backtrace = thread.backtrace.as_ref().unwrap();
        assert_eq!(backtrace.frames().count(), 2, "{backtrace}");
    }
}

#[test]
fn a_library_is_called_with_what_is_beneath() {
    let _dog = watchdog("a_library_is_called_with_what_is_beneath", 60);
    let engine = engine();
    // Without threads, a memory of its own is not shared.
    let library = prepared(
        &engine,
        r#"(module (memory (export "mem") 1) (data (i32.const 3) "\2a")
             (func (export "peek") (param i32) (result i32) (i32.load8_u (local.get 0))))"#,
    );
    let module = prepared(
        &engine,
        r#"(module (import "lib" "peek" (func $peek (param i32) (result i32)))
             (import "lib" "mem" (memory 1))
             (func (export "f") (param i32) (result i32)
               (i32.add (call $peek (local.get 0)) (i32.load8_u (local.get 0)))))"#,
    );
    let group = builder(&engine, &module, &Arc::default())
        .preload("lib", &library)
        .build()
        .unwrap();
    let (outcome, results) = group.invoke("f", &[Val::I32(3)]).unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    assert!(matches!(results[..], [Val::I32(84)]), "{results:?}");
}

#[test]
fn what_cannot_be_preloaded_is_named() {
    let _dog = watchdog("what_cannot_be_preloaded_is_named", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &uses(r#"(func (export "_start"))"#));
    let library = prepared(&engine, LIBRARY);
    let build = |preloads: &[(&str, &ThreadModule)]| -> Result<ThreadGroup<Data>, GroupError> {
        let mut builder = builder(&engine, &module, &Arc::default());
        for (name, module) in preloads {
            builder = builder.preload(name, module);
        }
        builder.build()
    };
    assert!(build(&[("lib", &library)]).is_ok());
    let refused = |preload: &ThreadModule| build(&[("lib", preload)]).unwrap_err();

    let foreign = ThreadModule::from_unprepared(library.module().clone());
    assert!(matches!(
        refused(&foreign),
        GroupError::PreloadUnprepared { name } if name == "lib"
    ));
    let command = prepared(&engine, r#"(module (func (export "_start")))"#);
    assert!(matches!(
        refused(&command),
        GroupError::PreloadCommand { .. }
    ));
    for own in [
        "(memory 1)",
        r#"(import "x" "m" (memory 1))"#,
        "(memory 1 1 shared)",
    ] {
        let own = prepared(&engine, &format!("(module {own})"));
        assert!(matches!(refused(&own), GroupError::PreloadMemory { .. }));
    }

    // Imports that are not provided: under another name, not exported, or before their library.
    let unknown = |error: GroupError| {
        let text = error.to_string();
        assert!(matches!(error, GroupError::Link(_)), "{text}");
        assert!(text.contains("unknown import"), "{text}");
    };
    unknown(build(&[]).unwrap_err());
    unknown(build(&[("bil", &library)]).unwrap_err());
    unknown(refused(&prepared(&engine, "(module)")));
    let upper = prepared(
        &engine,
        r#"(module (import "lib" "next" (func (result i32))))"#,
    );
    unknown(build(&[("upper", &upper), ("lib", &library)]).unwrap_err());
    assert!(build(&[("lib", &library), ("upper", &upper)]).is_ok());

    // An import of another type is found when the instances are made.
    let other = prepared(
        &engine,
        r#"(module (func (export "next")) (func (export "park")))"#,
    );
    let group = build(&[("lib", &other)]).unwrap();
    assert!(matches!(group.run("_start"), Err(RunError::Instantiate(_))));

    let mut config = config();
    config.wasm_multi_memory(true);
    let elsewhere = Engine::new(&config).unwrap();
    assert!(matches!(
        refused(&prepared(&elsewhere, "(module)")),
        GroupError::OtherEngine
    ));
}

/// Exports that the rewrite appended to a library are for the group alone: no module above gets the
/// table of its waits.
#[test]
fn a_librarys_waits_cannot_be_rewired() {
    let _dog = watchdog("a_librarys_waits_cannot_be_rewired", 60);
    let engine = engine();
    let library = prepared(&engine, LIBRARY);
    let imports = [
        r#"(import "lib" "wasi-threads:waits" (table 0 funcref))"#,
        r#"(import "lib" "wasi-threads:start" (func))"#,
        r#"(import "lib" "wasi-threads:memory-0" (memory 1 64 shared))"#,
    ];
    for import in imports {
        let text = format!(r#"(module {import} (func (export "_start")))"#);
        let module = prepared(&engine, &text);
        let group = builder(&engine, &module, &Arc::default())
            .preload("lib", &library)
            .build();
        // A shared memory that is not provided is made.
        let refused = matches!(group, Err(GroupError::Link(_)));
        assert_eq!(refused, !import.contains("memory-0"), "{import}: {group:?}");
    }
}

/// A library's own exports reach the module above it, whatever their names.
#[test]
fn a_librarys_own_exports_may_have_any_name() {
    let _dog = watchdog("a_librarys_own_exports_may_have_any_name", 60);
    let engine = engine();
    let library = prepared(
        &engine,
        r#"(module
             (memory $hidden 1 1 shared)
             (memory $named 1 1 shared)
             (export "wasi-threads:memory-1" (memory $named))
             (func (export "wasi-threads:memory-0") (result i32)
               (memory.atomic.notify $hidden (i32.const 0) (i32.const 0)))
             (func (export "wasi-threads:memory-7") (result i32)
               (memory.atomic.notify $named (i32.const 0) (i32.const 0))))"#,
    );
    let module = prepared(
        &engine,
        r#"(module
             (import "lib" "wasi-threads:memory-0" (func $f (result i32)))
             (import "lib" "wasi-threads:memory-1" (memory 1 1 shared))
             (import "lib" "wasi-threads:memory-7" (func $g (result i32)))
             (func (export "_start") (drop (call $f)) (drop (call $g))))"#,
    );
    let group = builder(&engine, &module, &Arc::default())
        .preload("lib", &library)
        .build()
        .unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
}

/// Exports that the rewrite appended to the group's own module cannot be run either: the start
/// function would run twice.
#[test]
fn what_was_appended_is_no_export_to_run() {
    let _dog = watchdog("what_was_appended_is_no_export_to_run", 60);
    let engine = engine();
    let module = prepared(
        &engine,
        r#"(module (import "host" "count" (func $count)) (start $s) (func $s (call $count)))"#,
    );
    let log = Arc::<Log>::default();
    let group = || builder(&engine, &module, &log).build().unwrap();
    let result = group().run("wasi-threads:start");
    assert!(matches!(result, Err(RunError::NoExport(_))), "{result:?}");
    let result = group().invoke("wasi-threads:start", &[]);
    assert!(matches!(result, Err(RunError::NoExport(_))), "{result:?}");
    let reactor = group().into_reactor().unwrap();
    let result = reactor.call::<(), ()>("wasi-threads:start", ());
    assert!(result.is_err(), "{result:?}");
    let result = reactor.invoke("wasi-threads:start", &[]);
    assert!(result.is_err(), "{result:?}");
    assert_eq!(log.count.load(Ordering::SeqCst), 1);
}

/// An `_initialize` that cannot be called is found before anything runs.
#[test]
fn an_initialize_of_another_type_is_refused() {
    let _dog = watchdog("an_initialize_of_another_type_is_refused", 60);
    let engine = engine();
    let text = r#"(module (import "host" "count" (func $count)) (start $s) (func $s (call $count))
        (func (export "_initialize") (param i32)) (func (export "f")))"#;
    let module = prepared(&engine, text);
    let log = Arc::<Log>::default();
    let group = || builder(&engine, &module, &log).build().unwrap();
    let result = group().invoke("f", &[]);
    assert!(
        matches!(&result, Err(RunError::ExportType { name, .. }) if name == "_initialize"),
        "{result:?}"
    );
    let result = group().into_reactor().map(drop);
    assert!(
        matches!(
            result,
            Err(wasi_threads::CallError::Run(RunError::ExportType { .. }))
        ),
        "{result:?}"
    );
    let main = prepared(&engine, r#"(module (func (export "_start")))"#);
    let result = builder(&engine, &main, &log)
        .preload("lib", &module)
        .build();
    assert!(matches!(result, Err(GroupError::Link(_))), "{result:?}");
    assert_eq!(log.count.load(Ordering::SeqCst), 0);
    // It is not called here.
    let module = prepared(
        &engine,
        r#"(module (func (export "_initialize") (param i32)) (func (export "_start")))"#,
    );
    let group = builder(&engine, &module, &log).build().unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
}
