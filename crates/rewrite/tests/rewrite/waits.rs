//! Waits and notifies mean what the threads proposal says, and what wasmtime's
//! own instructions do.

use std::time::{Duration, Instant};

use interruptible_wasm::rewrite;
use wasmtime::{Engine, Linker, MemoryTypeBuilder, Module, SharedMemory, Store, Trap, Val};

use super::both::{Came, bind, engine, original, rewritten, wat};

/// A kind of memory, as the text format declares it.
struct Kind {
    declaration: &'static str,
    index: &'static str,
    shared: bool,
}

const KINDS: [Kind; 6] = [
    Kind {
        declaration: "(import \"env\" \"shared\" (memory 1 2 shared))",
        index: "i32",
        shared: true,
    },
    Kind {
        declaration: "(memory 1 2 shared)",
        index: "i32",
        shared: true,
    },
    Kind {
        declaration: "(import \"env\" \"shared64\" (memory i64 1 2 shared))",
        index: "i64",
        shared: true,
    },
    Kind {
        declaration: "(memory i64 1 2 shared)",
        index: "i64",
        shared: true,
    },
    Kind {
        declaration: "(memory 1 2)",
        index: "i32",
        shared: false,
    },
    Kind {
        declaration: "(memory i64 1 2)",
        index: "i64",
        shared: false,
    },
];

fn memory(engine: &Engine, wide: bool) -> SharedMemory {
    let ty = MemoryTypeBuilder::new()
        .shared(true)
        .memory64(wide)
        .min(1)
        .max(Some(2))
        .build()
        .expect("a memory type");
    SharedMemory::new(engine, ty).expect("a shared memory")
}

fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    let store = Store::new(engine, ());
    linker
        .define(&store, "env", "shared", memory(engine, false))
        .expect("a new name");
    linker
        .define(&store, "env", "shared64", memory(engine, true))
        .expect("a new name");
    linker
}

/// One module with all three instructions at every offset.
fn all_three(kind: &Kind, offsets: &[u64]) -> String {
    let index = kind.index;
    let mut text = format!("(module {}", kind.declaration);
    for offset in offsets {
        text += &format!(
            "(func (export \"wait32-{offset}\") (param {index} i32 i64) (result i32)
               (memory.atomic.wait32 offset={offset}
                 (local.get 0) (local.get 1) (local.get 2)))
             (func (export \"wait64-{offset}\") (param {index} i64 i64) (result i32)
               (memory.atomic.wait64 offset={offset}
                 (local.get 0) (local.get 1) (local.get 2)))
             (func (export \"notify-{offset}\") (param {index} i32) (result i32)
               (memory.atomic.notify offset={offset} (local.get 0) (local.get 1)))"
        );
    }
    text + ")"
}

#[test]
fn every_address_and_offset_ends_as_in_wasmtime() {
    const ADDRESSES: [u64; 20] = [
        0,
        1,
        2,
        3,
        4,
        6,
        8,
        65_524,
        65_528,
        65_530,
        65_532,
        65_535,
        65_536,
        65_544,
        0x7fff_fff8,
        0xffff_fff0,
        0xffff_fffc,
        0xffff_ffff,
        u64::MAX - 7,
        u64::MAX,
    ];
    let engine = engine();
    let linker = linker(&engine);
    let mut seen = std::collections::BTreeMap::new();
    for kind in &KINDS {
        let mut offsets = vec![
            0,
            1,
            2,
            4,
            8,
            65_528,
            65_532,
            65_536,
            0x7fff_fff8,
            0xffff_fff8,
            0xffff_ffff,
        ];
        if kind.index == "i64" {
            offsets.extend([1 << 32, 1 << 63, u64::MAX - 8, u64::MAX - 7, u64::MAX]);
        }
        let bytes = wat(&all_three(kind, &offsets));
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        assert_eq!(
            after.wait_sites,
            if kind.shared { 3 * offsets.len() } else { 0 }
        );
        assert_eq!(after.wait_slots.len(), if kind.shared { 3 } else { 0 });
        let mut one = original(&engine, &linker, &bytes).expect("an instance");
        let mut other = rewritten(&engine, &linker, &after).expect("an instance");
        for offset in &offsets {
            for address in ADDRESSES {
                let at = match kind.index {
                    "i32" => Val::I32(address as u32 as i32),
                    _ => Val::I64(address as i64),
                };
                // All words are zero. A wait that expects zero times out. A wait that expects
                // anything else does not wait, whatever the timeout is.
                let calls = [
                    ("wait32", vec![at, Val::I32(0), Val::I64(0)]),
                    ("wait32", vec![at, Val::I32(0), Val::I64(1000)]),
                    ("wait32", vec![at, Val::I32(7), Val::I64(-1)]),
                    ("wait32", vec![at, Val::I32(7), Val::I64(i64::MIN)]),
                    ("wait32", vec![at, Val::I32(7), Val::I64(i64::MAX)]),
                    ("wait64", vec![at, Val::I64(0), Val::I64(0)]),
                    ("wait64", vec![at, Val::I64(1 << 40), Val::I64(-1)]),
                    ("notify", vec![at, Val::I32(0)]),
                    ("notify", vec![at, Val::I32(-1)]),
                ];
                for (name, params) in calls {
                    let name = format!("{name}-{offset}");
                    let before = one.call(&name, &params);
                    let now = other.call(&name, &params);
                    assert_eq!(
                        before, now,
                        "{name} at {address:#x} in {}",
                        kind.declaration
                    );
                    *seen.entry(format!("{before:?}")).or_insert(0) += 1;
                }
            }
        }
    }
    // The comparison is worth something only if every end came up.
    for end in [
        Came::i32(0),
        Came::i32(1),
        Came::i32(2),
        Came::Trapped(Trap::HeapMisaligned),
        Came::Trapped(Trap::MemoryOutOfBounds),
        Came::Trapped(Trap::AtomicWaitNonSharedMemory),
    ] {
        assert!(
            seen.contains_key(&format!("{end:?}")),
            "{end:?} in {seen:?}"
        );
    }
}

#[test]
fn the_order_of_the_traps_is_overflow_then_alignment_then_bounds() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat(&all_three(&KINDS[0], &[0, 65_536, 0xffff_ffff]));
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    let mut instance = rewritten(&engine, &linker, &after).expect("an instance");
    let mut notify = |offset: u64, at: u32| {
        instance.call(
            &format!("notify-{offset}"),
            &[Val::I32(at.cast_signed()), Val::I32(1)],
        )
    };
    assert_eq!(notify(0, 2), Came::Trapped(Trap::HeapMisaligned));
    assert_eq!(notify(0, 65_536), Came::Trapped(Trap::MemoryOutOfBounds));
    assert_eq!(notify(65_536, 2), Came::Trapped(Trap::HeapMisaligned));
    assert_eq!(
        notify(0xffff_ffff, 3),
        Came::Trapped(Trap::MemoryOutOfBounds),
        "a sum beyond 32 bits, though misaligned"
    );
}

#[test]
fn each_of_several_memories_keeps_its_own() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat("(module
        (import \"env\" \"shared\" (memory $imported 1 2 shared))
        (memory $own 2 2 shared)
        (memory $private 1 1)
        (memory $wide i64 1 1 shared)
        (memory $quiet 1 1 shared)
        (data (memory $own) (i32.const 0) \"\\01\\00\\00\\00\")
        (export \"kept\" (memory $own))
        (func (export \"imported\") (param i32) (result i32)
          (memory.atomic.wait32 $imported (local.get 0) (i32.const 0) (i64.const 0)))
        (func (export \"own\") (param i32) (result i32)
          (memory.atomic.wait32 $own (local.get 0) (i32.const 0) (i64.const 0)))
        (func (export \"private\") (param i32) (result i32)
          (memory.atomic.wait32 $private (local.get 0) (i32.const 0) (i64.const 0)))
        (func (export \"wide\") (param i32) (result i32)
          (memory.atomic.wait32 $wide
            (i64.extend_i32_u (local.get 0)) (i32.const 0) (i64.const 0))))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!(after.wait_sites, 3, "the private memory's stays");
    let memories: Vec<_> = after
        .wait_slots
        .iter()
        .map(|slot| (slot.memory, slot.memory_export.as_str()))
        .collect();
    assert_eq!(
        memories,
        [
            (0, "wasi-threads:memory-0"),
            (1, "kept"),
            (3, "wasi-threads:memory-3")
        ]
    );
    let mut one = original(&engine, &linker, &bytes).expect("an instance");
    let mut other = rewritten(&engine, &linker, &after).expect("an instance");
    for (name, at, end) in [
        ("imported", 0, Came::i32(2)),
        ("imported", 65_536, Came::Trapped(Trap::MemoryOutOfBounds)),
        ("own", 0, Came::i32(1)),
        ("own", 65_536, Came::i32(2)),
        ("private", 0, Came::Trapped(Trap::AtomicWaitNonSharedMemory)),
        ("wide", 0, Came::i32(2)),
        ("wide", 65_536, Came::Trapped(Trap::MemoryOutOfBounds)),
    ] {
        let params = [Val::I32(at)];
        assert_eq!(one.call(name, &params), end, "{name} at {at}, original");
        assert_eq!(other.call(name, &params), end, "{name} at {at}, rewritten");
    }
}

#[test]
fn a_memory_that_grows_is_waited_on_at_its_new_length() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat("(module (memory 1 2 shared)
        (func (export \"wait\") (result i32)
          (memory.atomic.wait32 (i32.const 65536) (i32.const 0) (i64.const 0)))
        (func (export \"grow\") (result i32) (memory.grow (i32.const 1))))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    for mut instance in [
        original(&engine, &linker, &bytes).expect("an instance"),
        rewritten(&engine, &linker, &after).expect("an instance"),
    ] {
        let trap = Came::Trapped(Trap::MemoryOutOfBounds);
        assert_eq!(instance.call("wait", &[]), trap);
        assert_eq!(instance.call("grow", &[]), Came::i32(1));
        assert_eq!(instance.call("wait", &[]), Came::i32(2));
    }
}

#[test]
fn unreachable_waits_still_validate() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat("(module (memory 1 1 shared)
        (func (export \"f\") (param i32) (result i32)
          (if (local.get 0) (then
            (return (i32.const 3))
            memory.atomic.wait64 offset=8
            drop))
          unreachable
          memory.atomic.notify))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!(after.wait_sites, 2);
    let mut instance = rewritten(&engine, &linker, &after).expect("an instance");
    assert_eq!(instance.call("f", &[Val::I32(1)]), Came::i32(3));
    let trap = Came::Trapped(Trap::UnreachableCodeReached);
    assert_eq!(instance.call("f", &[Val::I32(0)]), trap);
}

const MEETING: &str = "(module
    (import \"env\" \"shared\" (memory 1 2 shared))
    (func (export \"wait32\") (param i32 i32 i64) (result i32)
      (memory.atomic.wait32 offset=16 (local.get 0) (local.get 1) (local.get 2)))
    (func (export \"wait64\") (param i32 i64 i64) (result i32)
      (memory.atomic.wait64 offset=16 (local.get 0) (local.get 1) (local.get 2)))
    (func (export \"notify\") (param i32 i32) (result i32)
      (memory.atomic.notify offset=8 (local.get 0) (local.get 1))))";

/// Two threads on one memory, of which one waits until the other has woken it.
fn meet(rewrites: bool, wait: &'static str, params: Vec<Val>) -> Came {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat(MEETING);
    let start = move |engine: &Engine, linker: &Linker<()>| {
        if rewrites {
            let after = rewrite(&bytes).expect("a module that can be rewritten");
            rewritten(engine, linker, &after)
        } else {
            original(engine, linker, &bytes)
        }
        .expect("an instance")
    };
    let waiter = std::thread::spawn({
        let (engine, linker, start) = (engine.clone(), linker.clone(), start.clone());
        move || start(&engine, &linker).call(wait, &params)
    });
    let mut notifier = start(&engine, &linker);
    let until = Instant::now() + Duration::from_secs(60);
    // The waiter is at 16 + 0, the notifier comes there from 8 + 8.
    let notify = [Val::I32(8), Val::I32(5)];
    while notifier.call("notify", &notify) != Came::i32(1) {
        assert!(!waiter.is_finished(), "{:?}", waiter.join());
        assert!(Instant::now() < until, "nobody came to wait");
        std::thread::yield_now();
    }
    waiter.join().expect("no panic")
}

#[test]
fn a_notify_wakes_the_waiter_and_counts_it() {
    for rewrites in [false, true] {
        for ns in [-1, i64::MAX, 3_600_000_000_000] {
            let params = vec![Val::I32(0), Val::I32(0), Val::I64(ns)];
            assert_eq!(meet(rewrites, "wait32", params), Came::i32(0), "{ns}");
            let params = vec![Val::I32(0), Val::I64(0), Val::I64(ns)];
            assert_eq!(meet(rewrites, "wait64", params), Came::i32(0), "{ns}");
        }
    }
}

#[test]
fn a_timeout_is_waited_out() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat(MEETING);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    for mut instance in [
        original(&engine, &linker, &bytes).expect("an instance"),
        rewritten(&engine, &linker, &after).expect("an instance"),
    ] {
        let begin = Instant::now();
        let params = [Val::I32(0), Val::I32(0), Val::I64(20_000_000)];
        assert_eq!(instance.call("wait32", &params), Came::i32(2));
        assert!(begin.elapsed() >= Duration::from_millis(20));
    }
}

#[test]
fn an_unfilled_table_is_a_trap() {
    let engine = engine();
    let linker = linker(&engine);
    let bytes = wat(MEETING);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    let module = Module::from_binary(&engine, &after.bytes).expect("a module that compiles");
    let mut store = Store::new(&engine, ());
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("an instance");
    let notify = instance
        .get_typed_func::<(i32, i32), i32>(&mut store, "notify")
        .expect("an export");
    let trap = notify.call(&mut store, (0, 1)).expect_err("nobody to call");
    assert_eq!(trap.downcast_ref::<Trap>(), Some(&Trap::IndirectCallToNull));
    bind(&after, &mut store, instance);
    assert_eq!(notify.call(&mut store, (0, 1)).expect("a host"), 0);
}
