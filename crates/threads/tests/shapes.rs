//! Modules of a wrong shape, and the message about each; modules of a shape that only looks wrong.

mod support;

use std::sync::Arc;

use support::*;
use wasi_threads::{
    ExportedMemory, GroupError, Limits, MemoryImport, ModuleShape, Outcome, RunError, SpawnError,
    SpawnImport,
};
use wasmtime::{Engine, MemoryType, Module, SharedMemory, Trap};

const SPAWN: &str = r#"(import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))"#;

fn refused(body: &str) -> GroupError {
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &wat::parse_str(format!("(module {body})")).unwrap(),
    );
    match builder(&engine, &module, &Arc::default()).build() {
        Err(error) => error,
        Ok(_) => panic!("accepted: {body}"),
    }
}

#[test]
fn what_is_lacking_is_named() {
    let error = refused(&format!(
        r#"{SPAWN} (import "env" "memory" (memory 1 1)) (export "memory" (memory 0))"#
    ));
    assert!(matches!(error, GroupError::MemoryNotShared { .. }));
    assert!(error.to_string().contains("`--shared-memory`"), "{error}");

    let error = refused(&format!(r#"{SPAWN} (memory (export "memory") 1 1 shared)"#));
    assert!(matches!(error, GroupError::MemoryNotImported));
    assert!(error.to_string().contains("`--import-memory "), "{error}");

    let error = refused(SPAWN);
    assert!(matches!(error, GroupError::NoMemory), "{error}");
    assert!(error.to_string().contains("`--import-memory "), "{error}");

    let error = refused(&format!(
        r#"{SPAWN} (import "env" "memory" (memory 1 1 shared)) (memory (export "memory") 1)"#
    ));
    assert!(matches!(error, GroupError::MemoryExportedIsOwn), "{error}");

    let error = refused(&format!(
        r#"{SPAWN} (import "env" "memory" (memory 1 1 shared))"#
    ));
    assert!(matches!(error, GroupError::MemoryNotExported));
    assert!(error.to_string().contains("`--export-memory`"), "{error}");

    let error = refused(r#"(import "wasi" "thread-spawn" (func (param i64) (result i32)))"#);
    assert!(matches!(error, GroupError::SpawnType { .. }), "{error}");

    let error = refused(r#"(import "nobody" "home" (func))"#);
    assert!(matches!(error, GroupError::Link(_)));
    assert!(error.to_string().contains("nobody"), "{error}");
}

/// Everything wrong is named, for a compiled module and for its bytes, and a group names the first.
#[test]
fn everything_that_is_lacking_is_named() {
    let engine = engine();
    let kinds = |shape: &ModuleShape| -> Vec<String> {
        let refusals = shape.refusals();
        let kind = |one: &GroupError| format!("{one:?}").split(' ').next().unwrap().to_owned();
        refusals.iter().map(kind).collect()
    };
    let cases: [(&str, &[&str]); 7] = [
        ("", &[]),
        (r#"(import "a" "b" (func)) (memory 1)"#, &[]),
        (SPAWN, &["NoMemory", "MemoryNotExported"]),
        (
            r#"(import "wasi" "thread-spawn" (global i32)) (memory 1)"#,
            &["SpawnType", "MemoryNotImported", "MemoryNotExported"],
        ),
        (
            r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))
               (import "a" "b" (memory 1)) (memory (export "memory") 1 1 shared)"#,
            &["MemoryNotShared", "MemoryExportedIsOwn"],
        ),
        (
            r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))
               (import "a" "b" (memory 1 1 shared)) (export "memory" (memory 0))"#,
            &[],
        ),
        // Only an instance shows which of the two it exports.
        (
            r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))
               (import "a" "b" (memory 1 1 shared)) (memory (export "memory") 1 1 shared)"#,
            &[],
        ),
    ];
    for (body, expected) in cases {
        let module = Module::new(&engine, format!("(module {body})")).unwrap();
        let shape = ModuleShape::of(&module);
        assert_eq!(kinds(&shape), expected, "{body}");
        assert_eq!(shape.spawns(), body.contains("thread-spawn"), "{body}");
    }
    // A compiled module does not say this.
    let own = ModuleShape {
        spawn: Some(SpawnImport::AsDefined),
        memories: vec![MemoryImport {
            module: "a".to_owned(),
            name: "b".to_owned(),
            shared: true,
        }],
        defines_memory: true,
        exported_memory: Some(ExportedMemory::Own),
    };
    assert_eq!(kinds(&own), ["MemoryExportedIsOwn"]);
}

#[test]
fn shared_memory_switched_off() {
    let mut config = config();
    config.shared_memory(false);
    let engine = Engine::new(&config).unwrap();
    let module = Door::Prepared.module(&engine, &guest(""));
    let error = builder(&engine, &module, &Arc::default())
        .build()
        .unwrap_err();
    assert!(matches!(error, GroupError::SharedMemoryDisabled), "{error}");
}

#[test]
fn engines_and_memory_must_be_given_right() {
    let (one, other) = (engine(), engine());
    let module = Door::Prepared.module(&one, &guest(""));
    assert!(matches!(
        builder(&other, &module, &Arc::default()).build(),
        Err(GroupError::OtherEngine)
    ));
    let plain = Door::Prepared.module(&one, &wat::parse_str("(module)").unwrap());
    let memory = SharedMemory::new(&one, MemoryType::shared(1, 1)).unwrap();
    assert!(matches!(
        builder(&one, &plain, &Arc::default())
            .memory(memory)
            .build(),
        Err(GroupError::MemoryNotWanted)
    ));
}

/// Without a proper `wasi_thread_start`, a spawn fails and the program goes on.
#[test]
fn no_entry_point_is_a_negative_result() {
    let _dog = watchdog("no_entry_point_is_a_negative_result", 60);
    for entry in [
        "",
        r#"(func (export "wasi_thread_start") (param i32))"#,
        r#"(func (export "wasi_thread_start") (param i32 i64))"#,
        r#"(func (export "wasi_thread_start") (param i32 i32) (result i32) (i32.const 0))"#,
        r#"(global (export "wasi_thread_start") i32 (i32.const 0))"#,
    ] {
        for door in DOORS {
            let engine = engine();
            let log = Arc::<Log>::default();
            let module = door.module(
                &engine,
                &guest(&format!(
                    r#"{entry} (func (export "_start") (call $log (call $spawn (i32.const 0))))"#
                )),
            );
            let group = builder(&engine, &module, &log).build().unwrap();
            assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
            assert_eq!(*log.values.lock().unwrap(), [-58], "{entry}");
            assert!(matches!(
                group.spawn_failures().last,
                Some(SpawnError::NoEntryPoint)
            ));
        }
    }
}

/// An active segment out of bounds is a trap of the instantiation itself.
#[test]
fn a_segment_out_of_bounds_traps() {
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(r#"(data (i32.const 65536) "x") (func (export "_start"))"#),
    );
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(
        matches!(
            outcome,
            Outcome::Trapped {
                trap: Some(Trap::MemoryOutOfBounds),
                ..
            }
        ),
        "{outcome:?}"
    );
}

/// Several shared memories: the group makes each, and all threads see the same ones.
#[test]
fn several_memories() {
    let _dog = watchdog("several_memories", 60);
    let mut config = config();
    config.wasm_multi_memory(true);
    let engine = Engine::new(&config).unwrap();
    let bytes = wat::parse_str(format!(
        r#"(module
             (import "env" "memory" (memory $a 1 1 shared))
             (import "env" "second" (memory $b 1 2 shared))
             (import "env" "second" (memory $c 1 2 shared))
             {SPAWN}
             (export "memory" (memory $a))
             (func (export "wasi_thread_start") (param i32 i32)
               (i32.atomic.store $b (i32.const 8) (i32.const 1))
               (drop (memory.atomic.notify $b (i32.const 8) (i32.const 1))))
             (func (export "_start")
               (drop (call $spawn (i32.const 0)))
               (loop $l
                 (drop (memory.atomic.wait32 $c (i32.const 8) (i32.const 0) (i64.const -1)))
                 (br_if $l (i32.eqz (i32.atomic.load $c (i32.const 8)))))))"#
    ))
    .unwrap();
    for door in DOORS {
        let module = door.module(&engine, &bytes);
        let group = builder(&engine, &module, &Arc::default())
            .limits(Limits::new().timeout(std::time::Duration::from_secs(30)))
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(
            matches!(outcome, Outcome::Returned),
            "{door:?}: {outcome:?}"
        );
    }
}

#[test]
fn a_memory_of_the_embedders_own() {
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(r#"(func (export "_start") (i32.store8 (i32.const 9) (i32.const 3)))"#),
    );
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 64)).unwrap();
    let group = builder(&engine, &module, &Arc::default())
        .memory(memory.clone())
        .build()
        .unwrap();
    assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    let byte = &wasi_threads::memory::bytes(&memory, 9, 1).unwrap()[0];
    assert_eq!(byte.load(std::sync::atomic::Ordering::SeqCst), 3);
}

/// A module that imports a shared memory, and defines and exports another. WASI would work on the
/// exported one, which each thread has for itself, while the threads share the imported one.
#[test]
fn an_exported_memory_of_its_own_is_refused() {
    let _dog = watchdog("an_exported_memory_of_its_own_is_refused", 60);
    let mut config = config();
    config.wasm_multi_memory(true);
    let engine = Engine::new(&config).unwrap();
    let module = |memories: &str| {
        format!(
            r#"(module {SPAWN} (import "host" "count" (func $count))
                 (import "env" "memory" (memory $shared 1 1 shared))
                 {memories}
                 (func (export "wasi_thread_start") (param i32 i32))
                 (func (export "_start") (call $count)))"#
        )
    };
    for door in DOORS {
        let run = |memories: &str| {
            let log = Arc::<Log>::default();
            let bytes = wat::parse_str(module(memories)).unwrap();
            let group = builder(&engine, &door.module(&engine, &bytes), &log)
                .build()
                .unwrap();
            let outcome = group.run("_start");
            (outcome, log.count.load(std::sync::atomic::Ordering::SeqCst))
        };
        let (outcome, ran) = run(r#"(memory $own (export "memory") 1 1 shared)"#);
        let Err(RunError::Instantiate(error)) = outcome else {
            panic!("{outcome:?}");
        };
        let found = error.downcast_ref::<GroupError>();
        assert!(
            matches!(found, Some(GroupError::MemoryExportedIsOwn)),
            "{error:?}"
        );
        assert!(error.to_string().contains("`--import-memory "), "{error}");
        assert_eq!(ran, 0);
        // A second memory that WASI does not see is allowed.
        let (outcome, ran) = run(r#"(memory $own 1 1) (export "memory" (memory $shared))"#);
        assert!(matches!(outcome, Ok(Outcome::Returned)), "{outcome:?}");
        assert_eq!(ran, 1);
    }
}
