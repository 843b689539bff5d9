//! What a detector of data races is told: calls, blocks of memory, and each access once.

use std::sync::{Arc, Mutex};

use interruptible_wasm::{AccessOp, Recorded, RewriteOptions, Rewritten, rewrite_with};
use wasmtime::{Extern, Func, Instance, Linker, Module, Ref, Store, Trap, Val};

use super::both::{Came, Running, bind, engine, original, wat};

type Told = (AccessOp, u64, u64);

fn rewritten(bytes: &[u8]) -> Rewritten<'_> {
    let mut options = RewriteOptions::default();
    options.recorded = Some(Recorded::Races);
    let after = rewrite_with(bytes, &options).expect("a module that can be rewritten");
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(&after.bytes)
        .expect("a valid module");
    after
}

/// An instance, and what its host is told. Each of its imports is a function that adds 1.
struct Program {
    running: Running,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Program {
    fn new(after: &Rewritten<'_>) -> Self {
        let module = Module::from_binary(&engine(), &after.bytes).expect("a module that compiles");
        let mut store = Store::new(module.engine(), ());
        let imports: Vec<Extern> = module
            .imports()
            .map(|_| Func::wrap(&mut store, |number: i32| number + 1).into())
            .collect();
        let instance = Instance::new(&mut store, &module, &imports).expect("an instance");
        bind(after, &mut store, instance);
        let told = Arc::new(Mutex::new(Vec::new()));
        if let (Some(table), Some(slot)) = (&after.wait_table, after.access_slot) {
            let (heard, sites) = (Arc::clone(&told), after.access_sites.clone());
            let hear = move |address: i64, length: i64, site: i32| {
                let told = (sites[site as usize].op, address as u64, length as u64);
                heard.lock().expect("no panic").push(told);
            };
            let entry = Ref::Func(Some(Func::wrap(&mut store, hear)));
            let table = instance.get_table(&mut store, table).expect("a table");
            table.set(&mut store, slot.into(), entry).expect("room");
        }
        let running = Running { store, instance };
        Self { running, told }
    }

    /// Calls an export. Returns what it gave and what was told.
    fn call(&mut self, name: &str, params: &[i32]) -> (Came, Vec<Told>) {
        let params: Vec<Val> = params.iter().map(|param| Val::I32(*param)).collect();
        let came = self.running.call(name, &params);
        (
            came,
            std::mem::take(&mut self.told.lock().expect("no panic")),
        )
    }
}

/// `malloc` gives out what it is asked for and 1000.
const BLOCKS: &str = r#"(module
    (import "host" "add" (func $add (param i32) (result i32)))
    (memory 1 1 shared)
    (func $malloc (param i32) (result i32) (i32.add (local.get 0) (i32.const 1000)))
    (func $calloc (param i32 i32) (result i32)
      (call $malloc (i32.mul (local.get 0) (local.get 1))))
    (func $free (param i32))
    (func (export "realloc") (param i32 i32) (result i32)
      (call $free (local.get 0))
      (call $malloc (local.get 1)))
    (func $posix_memalign (param i32 i32 i32) (result i32)
      (i32.store (local.get 0) (call $malloc (local.get 2)))
      (i32.eqz (local.get 2)))
    (func (export "blocks") (result i32)
      (drop (call $malloc (i32.const 24)))
      (drop (call $malloc (i32.const -1000)))
      (drop (call $calloc (i32.const 3) (i32.const 8)))
      (drop (call 4 (i32.const 1024) (i32.const 48)))
      (drop (call 4 (i32.const 0) (i32.const 8)))
      (drop (call $posix_memalign (i32.const 64) (i32.const 16) (i32.const 32)))
      (drop (call $posix_memalign (i32.const 64) (i32.const 16) (i32.const 0)))
      (call $free (i32.const 0))
      (call $free (i32.const 1048))
      (call $add (i32.const 6))))"#;

#[test]
fn calls_are_told_with_what_they_give_and_take() {
    use AccessOp::{Allocate, Free, HostCall, Store};
    let bytes = wat(BLOCKS);
    let after = rewritten(&bytes);
    let names = ["calloc", "free", "malloc", "posix_memalign", "realloc"];
    assert_eq!(after.allocator, names);
    let (came, told) = Program::new(&after).call("blocks", &[]);
    assert_eq!(came, Came::i32(7));
    let expected = [
        (Allocate, 1024, 24),
        // One that failed is not told.
        (Allocate, 1024, 24),
        (Free, 1024, 0),
        (Allocate, 1048, 48),
        (Allocate, 1008, 8),
        (Store, 64, 4),
        (Allocate, 1032, 32),
        (Store, 64, 4),
        (Free, 1048, 0),
        (HostCall, 0, 0),
    ];
    assert_eq!(told, expected);
    // Each is where the call was.
    for site in &after.access_sites {
        let calls = [Allocate, Free, HostCall].contains(&site.op);
        assert_eq!(bytes[site.offset as usize] == 0x10, calls, "{site:?}");
    }
}

#[test]
fn a_function_of_another_type_is_no_allocator() {
    let bytes = wat(r#"(module (memory 1 1 shared)
        (func $malloc (param i64) (result i32) (i32.const 8))
        (func (export "free") (param i32) (result i32) (local.get 0))
        (func (export "f") (result i32)
          (i32.add (call $malloc (i64.const 8)) (call 1 (i32.const 8)))))"#);
    let after = rewritten(&bytes);
    assert!(after.allocator.is_empty() && after.access_sites.is_empty());
}

const REPEATED: &str = r#"(module
    (import "host" "add" (func $add (param i32) (result i32)))
    (memory 1 1 shared) (memory $wide i64 1 1 shared)
    (func (export "pair") (param i32)
      (i32.store (i32.const 16) (i32.const 1))
      (drop (i32.load8_u offset=3 (i32.const 16))))
    (func (export "atomic") (drop (i32.atomic.load (i32.const 32))))
    (func (export "compare")
      (drop (i32.atomic.rmw.cmpxchg (i32.const 32) (i32.const 1) (i32.const 2))))
    (func (export "notify") (drop (memory.atomic.notify (i32.const 32) (i32.const 1))))
    (func (export "host") (drop (call $add (i32.const 1))))
    (func (export "wide") (drop (i32.load $wide (i64.const 16))))
    (func (export "fill") (memory.fill (i32.const 16) (i32.const 1) (i32.const 9)))
    (func (export "each") (param $bytes i32)
      (loop $next
        (local.set $bytes (i32.sub (local.get $bytes) (i32.const 4)))
        (drop (i32.load offset=64 (local.get $bytes)))
        (br_if $next (local.get $bytes))))
    (func (export "beyond") (param i32) (result i32)
      (i32.load offset=0xfffffff0 (local.get 0))))"#;

#[test]
fn an_access_is_told_once_until_something_may_order_it() {
    use AccessOp::{Load, Store};
    let bytes = wat(REPEATED);
    let after = rewritten(&bytes);
    assert!(after.filter_bytes > 0);
    let mut program = Program::new(&after);
    let pair = [(Store, 16, 4), (Load, 19, 1)];
    assert_eq!(program.call("pair", &[0]).1, pair);
    assert_eq!(program.call("pair", &[0]).1, []);
    for (name, count) in [("atomic", 1), ("compare", 1), ("notify", 1), ("host", 1)] {
        assert_eq!(program.call(name, &[]).1.len(), count, "{name}");
        assert_eq!(program.call("pair", &[0]).1, pair, "{name}");
        assert_eq!(program.call("pair", &[0]).1, [], "{name}");
    }
    // These are told each time, and order nothing.
    for name in ["wide", "fill"] {
        for _ in 0..2 {
            assert_eq!(program.call(name, &[]).1.len(), 1, "{name}");
        }
        assert_eq!(program.call("pair", &[0]).1, [], "{name}");
    }
    // Another instance is another thread.
    assert_eq!(Program::new(&after).call("pair", &[0]).1, pair);
}

#[test]
fn each_address_is_told() {
    let bytes = wat(REPEATED);
    let mut program = Program::new(&rewritten(&bytes));
    let all = |told: Vec<Told>| -> Vec<u64> { told.iter().rev().map(|(_, at, _)| *at).collect() };
    let words: Vec<u64> = (0..4000).map(|word| 64 + 4 * word).collect();
    assert_eq!(all(program.call("each", &[16_000]).1), words);
    assert_eq!(program.call("each", &[16_000]).1, []);
    assert_eq!(
        program.call("each", &[16_004]).1,
        [(AccessOp::Load, 16_064, 4)]
    );
}

#[test]
fn what_traps_is_told_again() {
    let bytes = wat(REPEATED);
    let engine = engine();
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("host", "add", |number: i32| number + 1)
        .expect("a function");
    let mut before = original(&engine, &linker, &bytes).expect("an instance");
    let mut program = Program::new(&rewritten(&bytes));
    for param in [0, -1, 16] {
        assert_eq!(
            before.call("beyond", &[Val::I32(param)]),
            Came::Trapped(Trap::MemoryOutOfBounds)
        );
        let (came, _) = program.call("beyond", &[param]);
        assert_eq!(came, Came::Trapped(Trap::MemoryOutOfBounds), "{param}");
    }
}

/// A thread that may be started without a told call begins where the filter knows nothing of it.
#[test]
fn without_a_look_at_each_spawn_all_is_told() {
    let module = |more: &str| {
        wat(&format!(
            r#"(module (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
              (memory 1 1 shared) (table 2 funcref)
              (func (export "f") (drop (i32.load (i32.const 16)))) {more})"#
        ))
    };
    for (more, filters) in [
        ("(func (drop (call $spawn (i32.const 1))))", true),
        ("(elem (i32.const 0) 1)", true),
        ("(elem (i32.const 0) $spawn)", false),
        (
            "(elem (i32.const 0) funcref (item (ref.func $spawn)))",
            false,
        ),
        (
            "(elem declare func $spawn) (func (drop (ref.func $spawn)))",
            false,
        ),
        (r#"(export "spawn" (func $spawn))"#, false),
        ("(global funcref (ref.func $spawn))", false),
        (
            "(func (result i32) (return_call $spawn (i32.const 1)))",
            false,
        ),
    ] {
        let bytes = module(more);
        let after = rewritten(&bytes);
        assert_eq!(after.filter_bytes > 0, filters, "{more}");
        let mut program = Program::new(&after);
        let told = [
            program.call("f", &[]).1.len(),
            program.call("f", &[]).1.len(),
        ];
        assert_eq!(told, [1, usize::from(!filters)], "{more}");
    }
}
