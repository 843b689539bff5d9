//! Bulk memory operations in chunks do what they did whole.

use interruptible_wasm::{RewriteOptions, rewrite_with};
use wasmtime::{Engine, Linker, Trap, Val};

use super::both::{Came, Running, VECTORS, chunked, engine, original, rewritten, wat};

/// All three operations, on two memories that may differ in their index type,
/// with a sum over the first memory to compare by.
fn operations(to: &str, from: &str) -> String {
    let length = if to == "i64" && from == "i64" {
        "i64"
    } else {
        "i32"
    };
    let declare = |index: &str| if index == "i64" { "i64" } else { "" };
    format!(
        "(module
          (memory $to {} 1 1)
          (memory $from {} 1 1)
          (data $d \"0123456789abcdefghijklmnopqrstuvwxyz\")
          (func (export \"fill\") (param {to} i32 {to})
            (memory.fill $to (local.get 0) (local.get 1) (local.get 2)))
          (func (export \"move\") (param {to} {to} {to})
            (memory.copy $to $to (local.get 0) (local.get 1) (local.get 2)))
          (func (export \"copy\") (param {to} {from} {length})
            (memory.copy $to $from (local.get 0) (local.get 1) (local.get 2)))
          (func (export \"init\") (param {to} i32 i32)
            (memory.init $to $d (local.get 0) (local.get 1) (local.get 2)))
          (func (export \"source\") (param {from} i32 i32)
            (memory.init $from $d (local.get 0) (local.get 1) (local.get 2)))
          (func (export \"drop\") (data.drop $d))
          (export \"to\" (memory $to)))",
        declare(to),
        declare(from)
    )
}

fn value(ty: &str, value: u64) -> Val {
    if ty == "i64" {
        Val::I64(value as i64)
    } else {
        Val::I32(value as u32 as i32)
    }
}

fn bytes(running: &mut Running) -> Vec<u8> {
    let memory = running
        .instance
        .get_memory(&mut running.store, "to")
        .expect("an exported memory");
    memory.data(&running.store).to_vec()
}

/// A small, repeatable source of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// Mostly within a page, around its edges, sometimes far out.
    fn place(&mut self) -> u64 {
        match self.below(8) {
            0 => 65_536 - self.below(40),
            1 => 65_536 + self.below(2),
            2 => u64::from(u32::MAX) - self.below(40),
            3 => u64::MAX - self.below(40),
            _ => self.below(200),
        }
    }

    fn length(&mut self) -> u64 {
        match self.below(8) {
            0 => self.place(),
            1 => 0,
            _ => self.below(100),
        }
    }
}

#[test]
fn random_operations_leave_the_same_memory() {
    let engine = engine();
    let linker = Linker::new(&engine);
    for to in ["i32", "i64"] {
        for from in ["i32", "i64"] {
            for chunk in [0, 1, 7, if VECTORS { 16 } else { 15 }] {
                let module = wat(&operations(to, from));
                let after = chunked(&module, chunk);
                assert_eq!(after.bulk_sites, 5);
                let mut one = original(&engine, &linker, &module).expect("an instance");
                let mut other = rewritten(&engine, &linker, &after).expect("an instance");
                let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15 ^ u64::from(chunk));
                let (mut done, mut trapped) = (0, 0);
                for round in 0..600 {
                    let (name, types) = match numbers.below(5) {
                        0 => ("fill", [to, "i32", to]),
                        1 => ("move", [to, to, to]),
                        2 => ("copy", [to, from, if to == from { to } else { "i32" }]),
                        3 => ("init", [to, "i32", "i32"]),
                        _ => ("source", [from, "i32", "i32"]),
                    };
                    let params = [
                        value(types[0], numbers.place()),
                        value(types[1], numbers.place()),
                        value(types[2], numbers.length()),
                    ];
                    let came = one.call(name, &params);
                    assert_eq!(
                        came,
                        other.call(name, &params),
                        "{round}: {name} {params:?}"
                    );
                    match came {
                        Came::Trapped(Trap::MemoryOutOfBounds) => trapped += 1,
                        came => {
                            assert_eq!(came, Came::Values(vec![]));
                            done += 1;
                        }
                    }
                    assert!(
                        bytes(&mut one) == bytes(&mut other),
                        "{round}: {name} {params:?}"
                    );
                    if round == 500 {
                        one.call("drop", &[]);
                        other.call("drop", &[]);
                    }
                }
                assert!(
                    done > 100 && trapped > 100,
                    "{done} done, {trapped} trapped"
                );
            }
        }
    }
}

#[test]
fn overlapping_copies_keep_their_direction_though_one_memory_has_two_names() {
    let engine = engine();
    let mut linker = Linker::new(&engine);
    let store = wasmtime::Store::new(&engine, ());
    let ty = wasmtime::MemoryType::shared(1, 1);
    let module = wat("(module
        (import \"env\" \"memory\" (memory $a 1 1 shared))
        (import \"env\" \"memory\" (memory $b 1 1 shared))
        (func (export \"write\") (param i32 i32) (i32.store8 (local.get 0) (local.get 1)))
        (func (export \"read\") (param i32) (result i32) (i32.load8_u (local.get 0)))
        (func (export \"copy\") (param i32 i32 i32)
          (memory.copy $a $b (local.get 0) (local.get 1) (local.get 2))))");
    for (to, from) in [(10, 13), (13, 10)] {
        let mut read = Vec::new();
        for rewrites in [false, true] {
            let memory = wasmtime::SharedMemory::new(&engine, ty.clone()).expect("a memory");
            linker.allow_shadowing(true);
            linker
                .define(&store, "env", "memory", memory)
                .expect("a name");
            let mut running = if rewrites {
                rewritten(&engine, &linker, &chunked(&module, 4))
            } else {
                original(&engine, &linker, &module)
            }
            .expect("an instance");
            for at in 0..40 {
                running.call("write", &[Val::I32(at), Val::I32(at)]);
            }
            running.call("copy", &[Val::I32(to), Val::I32(from), Val::I32(21)]);
            let bytes: Vec<_> = (0..40)
                .map(|at| running.call("read", &[Val::I32(at)]))
                .collect();
            read.push(bytes);
        }
        assert_eq!(read[0], read[1], "{from} to {to}");
    }
}

#[test]
fn a_memory_of_four_gigabytes_ends_where_it_ends() {
    // 2^32 does not fit the operands' type; pages of one byte do for the
    // smaller edge.
    let engine = engine();
    let linker = Linker::new(&engine);
    for (declaration, end) in [
        ("(memory 65536 65536)", 0),
        ("(memory 100 100 (pagesize 1))", 100),
    ] {
        let module = wat(&format!(
            "(module {declaration}
              (func (export \"fill\") (param i32 i32 i32)
                (memory.fill (local.get 0) (local.get 1) (local.get 2)))
              (func (export \"last\") (result i32) (i32.load8_u (i32.const {})))
              )",
            i64::from(end).wrapping_sub(1)
        ));
        for (start, length, fits) in [
            (-20, 20, true),
            (-20, 21, false),
            (-1, 2, false),
            (0, 1, end == 100),
        ] {
            let params = [Val::I32(end + start), Val::I32(7), Val::I32(length)];
            let after = chunked(&module, 3);
            let mut one = original(&engine, &linker, &module).expect("an instance");
            let mut other = rewritten(&engine, &linker, &after).expect("an instance");
            let came = one.call("fill", &params);
            assert_eq!(came, other.call("fill", &params), "{params:?}");
            assert_eq!(one.call("last", &[]), other.call("last", &[]));
            if start < 0 {
                assert_eq!(matches!(came, Came::Values(_)), fits, "{params:?}");
            }
        }
    }
}

#[test]
fn a_constant_length_is_replaced_only_if_it_is_long() {
    let text = |length: u32| {
        wat(&format!(
            "(module (memory 1) (func
               (memory.fill (i32.const 0) (i32.const 0) (i32.const {length}))
               (memory.copy (i32.const 0) (i32.const 1) (i32.const {length}))))"
        ))
    };
    assert_eq!(chunked(&text(64), 64).bulk_sites, 0);
    assert_eq!(chunked(&text(65), 64).bulk_sites, 2);
    assert_eq!(chunked(&text(u32::MAX), 64).bulk_sites, 2);
}

#[test]
fn small_copies_are_replaced_if_asked_for_and_do_the_same() {
    let module = wat(r#"(module
        (memory (export "to") 1 1)
        (data $d "0123456789abcdefghijklmnopqrstuvwxyz")
        (func (export "init") (memory.init $d (i32.const 3) (i32.const 1) (i32.const 33)))
        (func (export "copy") (memory.copy (i32.const 9) (i32.const 4) (i32.const 31)))
        (func (export "beyond") (memory.copy (i32.const 65535) (i32.const 4) (i32.const 2)))
        (func (export "fill") (memory.fill (i32.const 70) (i32.const 4) (i32.const 30))))"#);
    let engine = engine();
    let linker = Linker::new(&engine);
    for chunk in [None, Some(0), Some(20), Some(1000)] {
        let mut options = RewriteOptions::default();
        options.bulk_chunk = chunk;
        options.small_copies = true;
        let after = rewrite_with(&module, &options).expect("a module that can be rewritten");
        // A fill is only replaced where it is longer than a chunk.
        let fills = usize::from(chunk.is_some_and(|chunk| chunk < 30));
        assert_eq!(after.bulk_sites, 3 + fills);
        assert!(after.code_offsets_kept);
        let mut other = rewritten(&engine, &linker, &after).expect("an instance");
        if VECTORS {
            let mut one = original(&engine, &linker, &module).expect("an instance");
            for name in ["init", "copy", "beyond", "fill"] {
                assert_eq!(one.call(name, &[]), other.call(name, &[]), "{name}");
                assert!(bytes(&mut one) == bytes(&mut other), "{name}");
            }
        } else {
            other.call("init", &[]);
            other.call("copy", &[]);
            assert_eq!(
                &bytes(&mut other)[9..40],
                b"23456789abcdefghijklmnopqrstuvw"
            );
        }
    }
}

/// What was rewritten is split once more, which is slower and nothing else.
#[test]
fn operations_rewritten_twice_do_what_they_did() {
    let engine = engine();
    let linker = Linker::new(&engine);
    let module = wat(&operations("i32", "i32"));
    let once = chunked(&module, 7);
    let twice = chunked(&once.bytes, 3);
    assert!(twice.bulk_sites > 0);
    let mut one = original(&engine, &linker, &module).expect("an instance");
    let mut other = rewritten(&engine, &linker, &twice).expect("an instance");
    for (name, params) in [
        ("init", [65_500, 0, 36]),
        ("init", [65_501, 0, 36]),
        ("fill", [100, 9, 41]),
        ("fill", [65_530, 9, 7]),
        ("move", [103, 100, 50]),
        ("move", [100, 103, 50]),
        ("copy", [0, 65_530, 6]),
        ("copy", [0, 65_530, 7]),
    ] {
        let params = params.map(Val::I32);
        assert_eq!(one.call(name, &params), other.call(name, &params), "{name}");
        assert_eq!(bytes(&mut one), bytes(&mut other), "{name} {params:?}");
    }
}

/// An engine that stops guest code at the next look at the epoch.
fn stopping() -> Engine {
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    Engine::new(&config).expect("an engine")
}

#[test]
fn an_epoch_deadline_is_seen_in_the_middle() {
    // Each turn of the loop looks; the callback counts the looks and ends it.
    let engine = stopping();
    let linker = Linker::new(&engine);
    let module = wat("(module (memory 16 16)
        (func (export \"fill\") (param i32)
          (memory.fill (i32.const 0) (i32.const 1) (local.get 0))))");
    let after = chunked(&module, 1 << 16);
    let mut running = {
        let module =
            wasmtime::Module::from_binary(&engine, &after.bytes).expect("a module that compiles");
        let mut store = wasmtime::Store::new(&engine, ());
        let instance = linker
            .instantiate(&mut store, &module)
            .expect("an instance");
        Running { store, instance }
    };
    let looks = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let counted = std::sync::Arc::clone(&looks);
    running.store.set_epoch_deadline(0);
    running.store.epoch_deadline_callback(move |_| {
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(wasmtime::UpdateDeadline::Continue(0))
    });
    let came = running.call("fill", &[Val::I32(1 << 20)]);
    assert_eq!(came, Came::Values(vec![]));
    let looks = looks.load(std::sync::atomic::Ordering::Relaxed);
    assert!(looks >= 16, "a look for each of 16 chunks, not {looks}");
    running
        .store
        .epoch_deadline_callback(|_| Err(Trap::Interrupt.into()));
    let came = running.call("fill", &[Val::I32(1 << 20)]);
    assert_eq!(came, Came::Trapped(Trap::Interrupt));
}
