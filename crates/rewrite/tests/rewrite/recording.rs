//! Accesses that are told: what the host hears, and that all else is as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use interruptible_wasm::{AccessOp, Points, Recorded, RewriteOptions, Rewritten, rewrite_with};
use wasmparser::{Operator, Parser, Payload};
use wasmtime::{Func, Instance, Linker, Module, Ref, Store, Val};

use super::both::{Running, bind, engine, for_this_compiler, original, wat};

/// What a host hears: a point is 0 bytes of nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    Point,
    Access(AccessOp, u32, u64, u64),
}

type Ears = Arc<Mutex<Vec<Heard>>>;

fn options(points: Option<Points>, recorded: Option<Recorded>) -> RewriteOptions {
    let mut options = RewriteOptions::default();
    (options.points, options.recorded) = (points, recorded);
    options
}

fn rewritten<'a>(bytes: &'a [u8], options: &RewriteOptions) -> Rewritten<'a> {
    let after = rewrite_with(bytes, options).expect("a module that can be rewritten");
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(&after.bytes)
        .expect("a valid module");
    after
}

/// An instance whose host hears every point and every access.
fn instance(after: &Rewritten<'_>) -> (Running, Ears) {
    let engine = engine();
    let module = Module::from_binary(&engine, &after.bytes).expect("a module that compiles");
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).expect("an instance");
    bind(after, &mut store, instance);
    let ears = Ears::default();
    let Some(table) = &after.wait_table else {
        return (Running { store, instance }, ears);
    };
    let table = instance.get_table(&mut store, table).expect("a table");
    if let Some(point) = &after.point_slot {
        let heard = Arc::clone(&ears);
        let function = Func::wrap(&mut store, move |_: i32| {
            heard.lock().expect("no panic").push(Heard::Point);
            0_i64
        });
        let entry = Ref::Func(Some(function));
        table
            .set(&mut store, point.slot.into(), entry)
            .expect("room");
    }
    if let Some(slot) = after.access_slot {
        let (heard, sites) = (Arc::clone(&ears), after.access_sites.clone());
        let hear = move |address: i64, length: i64, site: i32| {
            let site = sites[site as usize];
            assert!(
                site.width == 0 || i64::from(site.width) == length,
                "{site:?}"
            );
            let access = Heard::Access(site.op, site.memory, address as u64, length as u64);
            heard.lock().expect("no panic").push(access);
        };
        let entry = Ref::Func(Some(Func::wrap(&mut store, hear)));
        table.set(&mut store, slot.into(), entry).expect("room");
    }
    (Running { store, instance }, ears)
}

/// Memory 0 is shared, 1 is not, 2 is shared and has wide addresses.
const MODULE: &str = r#"(module
    (import "m" "f" (func))
    (memory 1 1 shared) (memory $own 1 1) (memory $wide i64 1 1 shared)
    (data $text "segment")
    (func (export "atomics") (param i32) (result i64)
      (i32.atomic.store offset=16 (local.get 0) (i32.const 5))
      (i64.extend_i32_u (i32.atomic.rmw8.add_u offset=16 (local.get 0) (i32.const 3)))
      (i64.atomic.rmw16.cmpxchg_u $wide offset=32 (i64.const 8) (i64.const 0) (i64.const 45))
      (i64.atomic.load offset=24 (local.get 0))
      (i64.extend_i32_u (memory.atomic.wait64 offset=24 (local.get 0) (i64.const 9) (i64.const 0)))
      (i64.extend_i32_u (memory.atomic.notify (local.get 0) (i32.const 1)))
      i64.add i64.add i64.add i64.add)
    (func (export "plain") (param i32) (result i64)
      (f64.store offset=64 (local.get 0) (f64.const 1.5))
      (v128.store32_lane offset=96 1 (local.get 0) (v128.const i32x4 1 2 3 4))
      (i64.load16_s offset=72 (local.get 0))
      (i64.load $own (local.get 0))
      (i64x2.extract_lane 1 (v128.load32x2_u offset=64 (local.get 0)))
      i64.add i64.add)
    (func (export "bulk") (param i32) (result i64)
      (memory.fill (local.get 0) (i32.const 3) (i32.const 8))
      (memory.copy (i32.const 128) (local.get 0) (i32.const 8))
      (memory.copy $own 0 (i32.const 0) (local.get 0) (i32.const 4))
      (memory.copy $wide 0 (i64.const 256) (local.get 0) (local.get 0))
      (memory.fill $own (local.get 0) (i32.const 3) (i32.const 8))
      (memory.init $text (i32.const 200) (i32.const 1) (i32.const 5))
      (i64.load $wide (i64.const 256))))"#;

/// The module without its import. The import is only there so that functions are numbered from 1
/// on.
fn alone() -> Vec<u8> {
    wat(&for_this_compiler(MODULE).replace(r#"(import "m" "f" (func))"#, "(func)"))
}

fn expected(recorded: Recorded) -> Vec<Heard> {
    use AccessOp::*;
    let mut told = vec![
        Heard::Access(AtomicStore, 0, 56, 4),
        Heard::Access(AtomicRmw, 0, 56, 1),
        Heard::Access(AtomicCmpxchg, 2, 40, 2),
        Heard::Access(AtomicLoad, 0, 64, 8),
        Heard::Access(Wait, 0, 64, 8),
        Heard::Access(Notify, 0, 40, 4),
    ];
    if recorded == Recorded::Accesses {
        told.extend([
            Heard::Access(Store, 0, 104, 8),
            Heard::Access(Store, 0, 136, 4),
            Heard::Access(Load, 0, 112, 2),
            Heard::Access(Load, 0, 104, 8),
            Heard::Access(Fill, 0, 40, 8),
            Heard::Access(CopyFrom, 0, 40, 8),
            Heard::Access(CopyTo, 0, 128, 8),
            Heard::Access(CopyFrom, 0, 40, 4),
            Heard::Access(CopyFrom, 0, 40, 40),
            Heard::Access(CopyTo, 2, 256, 40),
            Heard::Access(Init, 0, 200, 5),
            Heard::Access(Load, 2, 256, 8),
        ]);
    }
    told
}

#[test]
fn every_access_is_told_and_does_what_it_did() {
    let bytes = alone();
    for recorded in [Recorded::Atomics, Recorded::Accesses] {
        for chunk in [None, Some(3), Some(1 << 18)] {
            let mut options = options(None, Some(recorded));
            options.bulk_chunk = chunk;
            let after = rewritten(&bytes, &options);
            assert!(after.point_slot.is_none() && after.point_sites == 0);
            assert!(!after.code_offsets_kept);
            let engine = engine();
            let mut before = original(&engine, &Linker::new(&engine), &bytes).expect("an instance");
            let (mut now, ears) = instance(&after);
            for name in ["atomics", "plain", "bulk"] {
                let params = [Val::I32(40)];
                assert_eq!(
                    now.call(name, &params),
                    before.call(name, &params),
                    "{name}"
                );
            }
            let heard = ears.lock().expect("no panic");
            assert_eq!(*heard, expected(recorded), "{recorded:?} {chunk:?}");
            // A compare-exchange has a site for each of what it may do.
            assert_eq!(after.access_sites.len(), heard.len() + 1);
        }
    }
}

#[test]
fn points_stay_the_same_ones_and_come_first() {
    let bytes = alone();
    for points in [Points::Atomics, Points::Accesses, Points::Loops] {
        let without = rewritten(&bytes, &options(Some(points), None));
        let (mut one, fewer) = instance(&without);
        let with = rewritten(&bytes, &options(Some(points), Some(Recorded::Accesses)));
        assert_eq!(with.point_sites, without.point_sites);
        let (mut other, more) = instance(&with);
        for name in ["atomics", "plain", "bulk"] {
            let params = [Val::I32(40)];
            let was = one.call(name, &params);
            assert_eq!(other.call(name, &params), was, "{name}");
            let count = |ears: &Ears| {
                let heard = ears.lock().expect("no panic");
                heard.iter().filter(|one| **one == Heard::Point).count()
            };
            assert_eq!(count(&fewer), count(&more), "{name}, {points:?}");
        }
        let heard = more.lock().expect("no panic");
        let told: Vec<_> = heard
            .iter()
            .filter(|one| **one != Heard::Point)
            .copied()
            .collect();
        assert_eq!(told, expected(Recorded::Accesses));
        // A point that an access has comes right before it.
        let mut previous = Heard::Access(AccessOp::Load, 0, 0, 0);
        for one in heard.iter() {
            if let Heard::Access(op, ..) = one
                && (op.is_atomic() || points > Points::Atomics)
                && !matches!(op, AccessOp::CopyTo)
            {
                assert_eq!(previous, Heard::Point, "{one:?}");
            }
            previous = *one;
        }
    }
}

/// Where each instruction is: its function, and what it is.
fn operators(bytes: &[u8]) -> BTreeMap<u64, (u32, String)> {
    let (mut all, mut function) = (BTreeMap::new(), 0);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.expect("a valid module") {
            Payload::ImportSection(imports) => function += imports.count(),
            Payload::CodeSectionEntry(body) => {
                let mut reader = body.get_operators_reader().expect("a body");
                while !reader.eof() {
                    let (operator, at) = reader.read_with_offset().expect("an instruction");
                    all.insert(at as u64, (function, format!("{operator:?}")));
                }
                function += 1;
            }
            _ => {}
        }
    }
    all
}

#[test]
fn a_site_is_where_its_instruction_was() {
    let bytes = wat(&for_this_compiler(MODULE));
    let points = Some(Points::Loops);
    let after = rewritten(&bytes, &options(points, Some(Recorded::Accesses)));
    let (was, is) = (operators(&bytes), operators(&after.bytes));
    for (number, site) in after.access_sites.iter().enumerate() {
        let (function, operator) = &was[&site.offset];
        assert_eq!(site.function, *function, "{site:?}");
        let names: &[&str] = match site.op {
            AccessOp::Load => &["I64Load", "V128Load"],
            AccessOp::Store => &["F64Store", "V128Store", "I32Store"],
            AccessOp::AtomicLoad => &["I64AtomicLoad"],
            AccessOp::AtomicStore => &["I32AtomicStore"],
            AccessOp::AtomicRmw => &["I32AtomicRmw8AddU"],
            AccessOp::AtomicCmpxchg | AccessOp::AtomicCompare => &["I64AtomicRmw16CmpxchgU"],
            AccessOp::Wait => &["MemoryAtomicWait64"],
            AccessOp::Notify => &["MemoryAtomicNotify"],
            AccessOp::Fill => &["MemoryFill"],
            AccessOp::CopyFrom | AccessOp::CopyTo => &["MemoryCopy"],
            AccessOp::Init => &["MemoryInit"],
            other => panic!("{other}"),
        };
        assert!(
            names.iter().any(|name| operator.starts_with(name)),
            "{operator}"
        );
        // A call is there now, with the number of the first of its sites before it.
        let now = after.code_map.rewritten(site.offset).expect("code");
        assert!(is[&now].1.starts_with("Call "), "{:?}", is[&now]);
        assert_eq!(after.code_map.original(now), Some(site.offset));
        let (_, (_, pushed)) = is.range(..now).next_back().expect("an instruction");
        let second = matches!(site.op, AccessOp::CopyTo | AccessOp::AtomicCompare)
            && number > 0
            && after.access_sites[number - 1].offset == site.offset;
        let first = number - usize::from(second);
        assert_eq!(
            *pushed,
            format!(
                "{:?}",
                Operator::I32Const {
                    value: first as i32
                }
            )
        );
    }
}

#[test]
fn what_traps_is_told_with_its_address() {
    let bytes = wat(r#"(module (memory 1 1 shared) (memory $wide i64 1 1 shared)
        (func (export "load") (param i64)
          (drop (i32.load offset=16 (i32.wrap_i64 (local.get 0)))))
        (func (export "wide") (param i64)
          (i64.atomic.store $wide offset=16 (local.get 0) (i64.const 1)))
        (func (export "wait") (param i64)
          (drop (memory.atomic.wait32 offset=16 (i32.wrap_i64 (local.get 0)) (i32.const 1)
            (i64.const 0)))))"#);
    let after = rewritten(&bytes, &options(None, Some(Recorded::Accesses)));
    let engine = engine();
    let mut before = original(&engine, &Linker::new(&engine), &bytes).expect("an instance");
    let (mut now, ears) = instance(&after);
    for (name, param, address) in [
        ("load", -8, (1 << 32) + 8),
        ("load", 65_536, 65_552),
        ("wide", -8, u64::MAX),
        ("wide", 1, 17),
        ("wait", -8, (1 << 32) + 8),
        ("wait", 2, 18),
        ("wait", 0, 16),
    ] {
        let params = [Val::I64(param)];
        let was = before.call(name, &params);
        assert_eq!(now.call(name, &params), was, "{name}");
        match ears.lock().expect("no panic").pop() {
            Some(Heard::Access(_, _, told, _)) => assert_eq!(told, address, "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// Each compare-exchange in four cases: it finds what it expects, it does not, it expects a value
/// that no such word can have, and it traps.
#[test]
fn a_compare_exchange_tells_what_it_does() {
    for (op, bytes, address) in [
        ("i32.atomic.rmw.cmpxchg", 4, "i32"),
        ("i64.atomic.rmw.cmpxchg", 8, "i64"),
        ("i32.atomic.rmw8.cmpxchg_u", 1, "i32"),
        ("i32.atomic.rmw16.cmpxchg_u", 2, "i64"),
        ("i64.atomic.rmw8.cmpxchg_u", 1, "i64"),
        ("i64.atomic.rmw16.cmpxchg_u", 2, "i32"),
        ("i64.atomic.rmw32.cmpxchg_u", 4, "i32"),
    ] {
        let (value, wide) = (&op[..3], if address == "i64" { "i64" } else { "" });
        let at = match address {
            "i64" => "(local.get 0)",
            _ => "(i32.wrap_i64 (local.get 0))",
        };
        let bytes_of_module = wat(&format!(
            "(module (memory {wide} 1 1 shared) (data ({address}.const 16) \"\\11\\22\")
               (func (export \"f\") (param i64 {value} {value}) (result {value})
                 ({op} offset=8 {at} (local.get 1) (local.get 2))))"
        ));
        let engine = engine();
        let mut before =
            original(&engine, &Linker::new(&engine), &bytes_of_module).expect("an instance");
        let after = rewritten(&bytes_of_module, &options(None, Some(Recorded::Atomics)));
        let (mut now, ears) = instance(&after);
        let val = |number: i64| match value {
            "i32" => Val::I32(number as i32),
            _ => Val::I64(number),
        };
        let word = if bytes == 1 { 0x11 } else { 0x2211 };
        for (at, expected, heard) in [
            (8, word, Some(AccessOp::AtomicCmpxchg)),
            (8, word, Some(AccessOp::AtomicCompare)),
            (
                8,
                -1,
                Some(if bytes == 8 || op == "i32.atomic.rmw.cmpxchg" {
                    // That is what the first one has written.
                    AccessOp::AtomicCmpxchg
                } else {
                    AccessOp::AtomicCompare
                }),
            ),
            (65_528, 0, None),
            (-8, 0, None),
        ] {
            let params = [Val::I64(at), val(expected), val(-1)];
            let was = before.call("f", &params);
            assert_eq!(now.call("f", &params), was, "{op} at {at}");
            let told = ears.lock().expect("no panic").drain(..).next();
            let told = told.map(|told| match told {
                Heard::Access(op, 0, at, length) => (op, at, length),
                other => panic!("{other:?}"),
            });
            let place = (at as u64).wrapping_add(8);
            assert_eq!(
                told,
                heard.map(|heard| (heard, place, bytes)),
                "{op} at {at}"
            );
        }
    }
}

#[test]
fn what_nobody_else_sees_is_not_told() {
    let bytes = wat(r#"(module (memory 1 1)
        (func (param i32)
          (i32.store (local.get 0) (i32.atomic.load (local.get 0)))
          (memory.fill (local.get 0) (i32.const 0) (i32.const 9))))"#);
    let after = rewritten(&bytes, &options(None, Some(Recorded::Accesses)));
    assert!(after.access_sites.is_empty() && after.access_slot.is_none());
    assert_eq!(*after.bytes, *bytes);
}
