//! Points: what a module with them does and asks, and that one without them is as it was.

use std::sync::{Arc, Mutex};

use interruptible_wasm::{PointKind, Points, RewriteOptions, Rewritten, rewrite_with};
use wasmtime::{Engine, Func, Instance, Linker, Module, Ref, Store, Val};

use super::both::{Came, Running, engine, for_this_compiler, original, wat};
use super::layout::assert_nothing_moved;

fn pointed(bytes: &[u8], points: Points) -> Rewritten<'_> {
    let mut options = RewriteOptions::default();
    options.points = Some(points);
    let after = rewrite_with(bytes, &options).expect("a module that can be rewritten");
    wasmparser::validate(&after.bytes).expect("a valid module");
    after
}

/// Which kinds of points asked.
type Asked = Arc<Mutex<Vec<PointKind>>>;

/// An instance whose points ask, and may pass `budget` more each time.
fn instance(engine: &Engine, after: &Rewritten<'_>, budget: i64) -> (Running, Asked) {
    let module = Module::from_binary(engine, &after.bytes).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    let asked = Asked::default();
    if let Some(point) = &after.point_slot {
        let table = after.wait_table.as_ref().expect("a table");
        let table = instance.get_table(&mut store, table).expect("a table");
        let seen = Arc::clone(&asked);
        let function = Func::wrap(&mut store, move |kind: i32| {
            let kind = PointKind::of_code(kind).expect("a kind");
            seen.lock().expect("no panic").push(kind);
            budget
        });
        let slot = point.slot.into();
        table
            .set(&mut store, slot, Ref::Func(Some(function)))
            .expect("room");
    }
    (Running { store, instance }, asked)
}

/// How many points are left.
fn left(running: &mut Running, after: &Rewritten<'_>) -> i64 {
    let name = &after.point_slot.as_ref().expect("points").left;
    let global = running.instance.get_global(&mut running.store, name);
    global
        .expect("a global")
        .get(&mut running.store)
        .unwrap_i64()
}

/// Functions that load and store whatever there is, each with a word of its own.
const ACCESSES: &str = r#"(module (memory 1 1 shared) (memory $own 1 1)
    (func (export "atomics") (param i32) (result i64)
      (i32.atomic.store offset=16 (local.get 0) (i32.const 5))
      (i64.atomic.store offset=24 (local.get 0) (i64.const 7))
      (i64.atomic.store8 offset=32 (local.get 0) (i64.const 300))
      (i64.extend_i32_u (i32.atomic.rmw.add offset=16 (local.get 0) (i32.const 3)))
      (i64.atomic.rmw.xchg offset=24 (local.get 0) (i64.const 9))
      (i64.atomic.rmw16.cmpxchg_u offset=32 (local.get 0) (i64.const 44) (i64.const 45))
      (i64.atomic.load offset=24 (local.get 0))
      (i64.extend_i32_u (i32.atomic.load8_u offset=16 (local.get 0)))
      (i64.atomic.load16_u offset=32 (local.get 0))
      i64.add i64.add i64.add i64.add i64.add)
    (func (export "plain") (param i32) (result i64)
      (f64.store offset=64 (local.get 0) (f64.const 1.5))
      (i64.store16 offset=72 (local.get 0) (i64.const -1))
      (v128.store offset=80 (local.get 0) (v128.const i64x2 1 2))
      (v128.store32_lane offset=96 1 (local.get 0) (v128.const i32x4 1 2 3 4))
      (i64.load offset=64 (local.get 0))
      (i64.load16_s offset=72 (local.get 0))
      (i64.extend_i32_s (i32.load8_s offset=72 (local.get 0)))
      (i64x2.extract_lane 1 (v128.load offset=80 (local.get 0)))
      (i64x2.extract_lane 0
        (v128.load8_lane offset=96 3 (local.get 0) (v128.const i64x2 0 0)))
      (i64.reinterpret_f64 (f64.promote_f32 (f32.load offset=64 (local.get 0))))
      (i64.load $own (local.get 0))
      i64.add i64.add i64.add i64.add i64.add i64.add)
    (func (export "bulk") (param i32) (result i64)
      (memory.fill (local.get 0) (i32.const 3) (i32.const 8))
      (memory.copy (i32.const 128) (local.get 0) (i32.const 8))
      (memory.fill $own (local.get 0) (i32.const 3) (i32.const 8))
      (i64.atomic.load (i32.const 128)))
    (func (export "loop") (param i32) (result i64)
      (loop $l
        (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (i64.const 1)))"#;

#[test]
fn accesses_do_what_they_did_and_ask_first() {
    use PointKind::{Access, Atomic, Loop};
    let (engine, bytes) = (engine(), wat(&for_this_compiler(ACCESSES)));
    for (points, expected) in [
        (Points::Atomics, [9, 0, 1, 0]),
        (Points::Accesses, [9, 10, 3, 0]),
        (Points::Loops, [10, 11, 4, 41]),
    ] {
        let after = pointed(&bytes, points);
        if points < Points::Loops {
            assert!(after.code_offsets_kept);
            assert_nothing_moved(&bytes, &after);
        }
        for budget in [0, 1, 4] {
            let mut before = original(&engine, &Linker::new(&engine), &bytes).expect("an instance");
            let (mut now, asked) = instance(&engine, &after, budget);
            let mut passed = 0;
            for (name, points) in ["atomics", "plain", "bulk", "loop"]
                .into_iter()
                .zip(expected)
            {
                let came = now.call(name, &[Val::I32(40)]);
                assert_eq!(came, before.call(name, &[Val::I32(40)]), "{name}");
                passed += points;
                // The first asks, and then each after `budget` more.
                let questions = asked.lock().expect("no panic").len() as i64;
                assert_eq!(
                    questions,
                    (passed + budget) / (budget + 1),
                    "{name}, {budget}"
                );
                let since = passed - (questions - 1) * (budget + 1) - 1;
                assert_eq!(left(&mut now, &after), budget - since, "{name}, {budget}");
            }
            let asked = asked.lock().expect("no panic");
            let count = |kind| asked.iter().filter(|one| **one == kind).count();
            if budget == 0 {
                assert_eq!(count(Atomic), 10);
                assert_eq!(count(Access), if points > Points::Atomics { 12 } else { 0 });
                assert_eq!(count(Loop), if points > Points::Accesses { 44 } else { 0 });
            }
        }
    }
}

#[test]
fn an_access_that_traps_passes_its_point_first() {
    let engine = engine();
    let bytes = wat(r#"(module (memory 1 1 shared)
        (func (export "f") (param i32) (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))))"#);
    let after = pointed(&bytes, Points::Atomics);
    let mut before = original(&engine, &Linker::new(&engine), &bytes).expect("an instance");
    let (mut now, asked) = instance(&engine, &after, 0);
    for address in [1, 65_536, -4, 8] {
        let params = [Val::I32(address)];
        assert_eq!(now.call("f", &params), before.call("f", &params));
    }
    assert_eq!(asked.lock().expect("no panic").len(), 4);
}

#[test]
fn waits_and_notifies_pass_points_and_others_memories_have_none() {
    let bytes = wat(MODULES[0].0);
    let after = pointed(&bytes, Points::Atomics);
    assert_eq!((after.point_sites, after.wait_sites), (2, 2));
    let slot = after.point_slot.as_ref().expect("points");
    assert_eq!(slot.slot, 2);
    assert!(after.appended_exports.contains(&slot.left));
    // Alone they keep their places.
    let mut options = RewriteOptions::default();
    (options.points, options.waits) = (Some(Points::Atomics), false);
    let after = rewrite_with(&bytes, &options).expect("a valid module");
    assert_eq!((after.point_sites, after.wait_sites), (2, 0));
    assert_eq!(after.point_slot.expect("points").slot, 0);
    // No other thread sees a memory of the thread's own.
    let bytes = wat(MODULES[3].0);
    let after = pointed(&bytes, Points::Accesses);
    assert!(after.point_slot.is_none() && *after.bytes == *bytes);
    assert_eq!(after.points, Some(Points::Accesses));
}

/// A load of three bytes in a module of so many imported functions, and what the rewrite makes of
/// it.
#[test]
fn plain_accesses_grow_where_the_index_is_long() {
    for (imported, moved) in [(16_300, false), (16_384, true)] {
        let imports = r#"(import "m" "f" (func))"#.repeat(imported);
        let text = format!(
            r#"(module {imports} (memory 1 1 shared)
                 (func (export "f") (param i32) (result i32)
                   (i32.store8 (local.get 0) (i32.const 7))
                   (i32.add (i32.load (local.get 0)) (i32.atomic.load (local.get 0)))))"#
        );
        let bytes = wat(&text);
        let after = pointed(&bytes, Points::Accesses);
        assert_eq!(after.code_offsets_kept, !moved, "{imported}");
        assert_eq!(after.point_sites, 3);
        // The add, which is in front of the last byte but one.
        let add = bytes.iter().rposition(|byte| *byte == 0x6a).expect("it") as u64;
        let now = after.code_map.rewritten(add).expect("code");
        assert_eq!(after.bytes[now as usize], 0x6a);
        let engine = engine();
        let module = Module::from_binary(&engine, &after.bytes).expect("it compiles");
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_traps(&module)
            .expect("new names");
        let instance = linker
            .instantiate(&mut store, &module)
            .expect("an instance");
        let table = after.wait_table.as_ref().expect("a table");
        let table = instance.get_table(&mut store, table).expect("a table");
        let ask = Func::wrap(&mut store, |_: i32| 0_i64);
        table
            .set(&mut store, 0, Ref::Func(Some(ask)))
            .expect("room");
        let mut running = Running { store, instance };
        assert_eq!(running.call("f", &[Val::I32(8)]), Came::i32(14));
    }
}

#[test]
fn the_names_of_a_module_stay_its_own() {
    let bytes = wat(
        r#"(module (memory 1 1 shared) (global (export "wasi-threads:points-left") i32 (i32.const 1))
        (func (drop (i32.atomic.load (i32.const 0)))))"#,
    );
    let after = pointed(&bytes, Points::Atomics);
    assert_eq!(
        after.point_slot.expect("points").left,
        "wasi-threads:points-left-1"
    );
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Modules of every shape that the rewrite knows, and what came of each before there were points.
const MODULES: [(&str, usize, u64); 4] = [
    (
        r#"(module (import "env" "memory" (memory 1 1 shared))
             (func (export "f") (param i32) (result i32)
               (i32.atomic.store (i32.const 0) (i32.atomic.rmw.add (i32.const 4) (local.get 0)))
               (drop (memory.atomic.notify offset=8 (i32.const 0) (i32.const 1)))
               (memory.atomic.wait32 offset=4 (i32.const 0) (local.get 0) (i64.const 0))))"#,
        230,
        0x7dfcfeaac491a27f,
    ),
    (
        r#"(module (memory 1 1 shared) (memory i64 1 1) (global (mut i32) (i32.const 1))
             (table 1 funcref) (data "segment")
             (func $start (memory.fill (i32.const 0) (i32.const 1) (global.get 0)))
             (func (export "wasi-threads:start") (param i32)
               (memory.copy (i32.const 0) (i32.const 8) (local.get 0))
               (memory.init 0 (i32.const 0) (i32.const 0) (local.get 0))
               (drop (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 0))))
             (start $start))"#,
        579,
        0x33171a9eab5c5e11,
    ),
    (
        r#"(module (memory 1 1 shared) (func (export "f") (result i64) (i64.load (i32.const 0))))"#,
        67,
        0xa914301de8be15d,
    ),
    (
        r#"(module (import "env" "memory" (memory 1 1)) (func (i32.store (i32.const 0) (i32.const 1))))"#,
        49,
        0xaea7eff4b94f95ef,
    ),
];

#[test]
fn without_points_the_bytes_are_what_they_were() {
    assert_eq!(RewriteOptions::default().points, None);
    for (text, length, sum) in MODULES {
        let bytes = wat(text);
        let after = rewrite_with(&bytes, &RewriteOptions::default()).expect("a valid module");
        let found = (after.bytes.len(), hash(&after.bytes));
        assert_eq!(found, (length, sum), "{found:#x?} {text}");
    }
}
