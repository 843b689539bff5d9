//! The start function becomes an export, and instantiation runs nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use wasi_threads::rewrite::{RewriteOptions, rewrite, rewrite_with};
use wasi_threads::{PrepareError, ThreadEntry, ThreadModule, prepare};
use wasmtime::{Config, Engine, Linker, Module, Store};

use super::both::{engine, wat};

const COUNTS: &str = "(module
    (import \"env\" \"count\" (func $count))
    (func $start (call $count))
    (start $start))";

fn counting(engine: &Engine) -> (Linker<()>, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let mut linker = Linker::new(engine);
    let counted = Arc::clone(&count);
    linker
        .func_wrap("env", "count", move || {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .expect("a new name");
    (linker, count)
}

#[test]
fn it_runs_when_called_and_not_before() {
    let engine = engine();
    let (linker, count) = counting(&engine);
    let bytes = wat(COUNTS);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert!(!after.start_inside);
    let name = after.start_export.as_deref().expect("an export");
    let module = Module::from_binary(&engine, &after.bytes).expect("a module that compiles");
    let mut store = Store::new(&engine, ());
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("an instance");
    assert_eq!(count.load(Ordering::Relaxed), 0);
    instance
        .get_typed_func::<(), ()>(&mut store, name)
        .expect("the start function")
        .call(&mut store, ())
        .expect("a start that returns");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn an_imported_function_may_be_the_start() {
    let engine = engine();
    let (linker, count) = counting(&engine);
    let bytes = wat("(module (import \"env\" \"count\" (func $count)) (start $count))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    let module = Module::from_binary(&engine, &after.bytes).expect("a module that compiles");
    let mut store = Store::new(&engine, ());
    let instance = linker
        .instantiate(&mut store, &module)
        .expect("an instance");
    assert_eq!(count.load(Ordering::Relaxed), 0);
    let name = after.start_export.as_deref().expect("an export");
    instance
        .get_typed_func::<(), ()>(&mut store, name)
        .expect("the start function")
        .call(&mut store, ())
        .expect("a start that returns");
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn it_can_be_left_where_it_is() {
    let bytes = wat(COUNTS);
    let mut options = RewriteOptions::default();
    options.start = false;
    let after = rewrite_with(&bytes, &options).expect("a module that can be rewritten");
    assert!(after.start_inside);
    assert_eq!(after.start_export, None);
    assert!(matches!(after.bytes, Cow::Borrowed(_)));
}

#[test]
fn a_name_that_is_taken_is_left_to_its_owner() {
    let bytes = wat("(module
        (func (export \"wasi-threads:start\"))
        (func (export \"wasi-threads:start-1\"))
        (func $start) (start $start))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!(after.start_export.as_deref(), Some("wasi-threads:start-2"));
    Module::from_binary(&engine(), &after.bytes).expect("a module that compiles");
}

/// A shared memory that nobody outside could see gets an export, and nothing else happens.
#[test]
fn a_hidden_shared_memory_is_exported() {
    let bytes = wat("(module (memory 1) (memory 1 2 shared) (func (export \"f\")))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    let module = Module::from_binary(&engine(), &after.bytes).expect("a module that compiles");
    let names: Vec<_> = module.exports().map(|export| export.name()).collect();
    assert_eq!(names, ["f", "wasi-threads:memory-1"]);
    assert_eq!(after.first_appended_function, None);
    let twice = rewrite(&after.bytes).expect("a module that can be rewritten");
    assert!(matches!(twice.bytes, Cow::Borrowed(_)));
}

#[test]
fn a_module_with_nothing_to_rewrite_comes_back_as_it_was() {
    for text in [
        "(module)",
        "(module (memory 1) (func (export \"f\")))",
        "(module (memory (export \"m\") 1 1 shared)
           (func (result i32) (i32.atomic.load (i32.const 0))))",
        // On a memory of one thread, waits do not wait.
        "(module (memory 1) (func (result i32)
           (memory.atomic.notify (i32.const 0) (i32.const 1))))",
        // Short, and known to be.
        "(module (memory 1) (func
           (memory.fill (i32.const 0) (i32.const 0) (i32.const 4096))))",
        "(module (memory 1) (data $d \"short\") (func (param i32)
           (memory.init $d (i32.const 0) (i32.const 0) (local.get 0))))",
    ] {
        let bytes = wat(text);
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        match after.bytes {
            Cow::Borrowed(same) => assert!(std::ptr::eq(same, bytes.as_slice())),
            Cow::Owned(_) => panic!("{text} was rewritten"),
        }
    }
}

#[test]
fn what_is_rewritten_once_has_nothing_left() {
    let bytes = wat("(module (memory 1 1 shared) (func $start
        (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
        (start $start))");
    let once = rewrite(&bytes).expect("a module that can be rewritten");
    let twice = rewrite(&once.bytes).expect("a module that can be rewritten");
    assert!(matches!(twice.bytes, Cow::Borrowed(_)));
}

#[test]
fn what_the_group_has_to_know_is_found() {
    let engine = engine();
    let found = |text: &str| prepare(&engine, &wat(text)).expect("a module to prepare");

    let plain = found("(module (memory (export \"memory\") 1) (func (export \"_start\")))");
    assert!(plain.is_prepared() && plain.waits_reach_group());
    assert!(plain.imported_shared_memories().is_empty());
    assert!(!plain.imports_thread_spawn());
    assert_eq!(plain.thread_entry(), ThreadEntry::Missing);
    assert!(!plain.instantiation_is_visible());

    let threaded = found(
        "(module
           (import \"env\" \"memory\" (memory 3 9 shared))
           (import \"wasi\" \"thread-spawn\" (func (param i32) (result i32)))
           (memory 1 1 shared)
           (data (memory 1) (i32.const 0) \"its own\")
           (func (export \"wasi_thread_start\") (param i32 i32))
           (func $start) (start $start))",
    );
    let memories = threaded.imported_shared_memories();
    assert_eq!(memories.len(), 1);
    assert_eq!(
        (memories[0].module.as_str(), memories[0].name.as_str()),
        ("env", "memory")
    );
    assert_eq!(memories[0].ty.minimum(), 3);
    assert_eq!(memories[0].ty.maximum(), Some(9));
    assert!(threaded.imports_thread_spawn());
    assert_eq!(threaded.thread_entry(), ThreadEntry::Present);
    assert_eq!(threaded.start_export(), Some("wasi-threads:start"));
    assert!(!threaded.instantiation_is_visible());

    for (data, visible) in [
        ("(data (i32.const 0) \"x\")", true),
        ("(data (i32.const 0) \"\")", false),
        ("(data \"x\")", false),
        ("(memory 1) (data (memory 1) (i32.const 0) \"x\")", false),
    ] {
        let text = format!("(module (import \"env\" \"memory\" (memory 1 1 shared)) {data})");
        assert_eq!(found(&text).instantiation_is_visible(), visible, "{data}");
    }

    for wrong in [
        "(module (func (export \"wasi_thread_start\") (param i32)))",
        "(module (func (export \"wasi_thread_start\") (param i32 i64)))",
        "(module (func (export \"wasi_thread_start\") (param i32 i32) (result i32) i32.const 0))",
    ] {
        assert_eq!(found(wrong).thread_entry(), ThreadEntry::WrongSignature);
    }
    let global = "(module (global (export \"wasi_thread_start\") i32 (i32.const 0)))";
    assert_eq!(found(global).thread_entry(), ThreadEntry::Missing);
}

#[test]
fn frames_lead_back_to_the_original() {
    let engine = engine();
    let bytes = wat("(module (memory 1 1 shared) (func $die unreachable)
        (func (export \"notify\") (result i32)
          (memory.atomic.notify (i32.const 0) (i32.const 0)))
        (func (export \"die\") (call $die)))");
    let offsets = |module: &ThreadModule| -> Vec<usize> {
        let mut store = Store::new(&engine, ());
        let instance =
            wasmtime::Instance::new(&mut store, module.module(), &[]).expect("an instance");
        let error = instance
            .get_typed_func::<(), ()>(&mut store, "die")
            .expect("an export")
            .call(&mut store, ())
            .expect_err("a trap");
        let trace = error
            .downcast_ref::<wasmtime::WasmBacktrace>()
            .expect("a wasm backtrace");
        assert!(
            trace
                .frames()
                .iter()
                .all(|f| module.is_guest_function(f.func_index()))
        );
        trace
            .frames()
            .iter()
            .map(|f| module.original_offset(f.module_offset().expect("an offset")))
            .collect()
    };
    let prepared = prepare(&engine, &bytes).expect("a module to prepare");
    assert!(prepared.is_guest_function(2) && !prepared.is_guest_function(3));
    let module = Module::from_binary(&engine, &bytes).expect("a module that compiles");
    let unprepared = ThreadModule::from_unprepared(module);
    let found = offsets(&prepared);
    assert_eq!(found, offsets(&unprepared));
    assert_eq!(bytes[found[0]], 0, "an unreachable");
    assert_eq!(bytes[found[1]], 0x10, "a call");
}

#[test]
fn an_unprepared_module_promises_nothing() {
    let engine = engine();
    let module = Module::new(&engine, COUNTS).expect("a module that compiles");
    let module = ThreadModule::from_unprepared(module);
    assert!(!module.is_prepared());
    assert!(!module.waits_reach_group());
    assert!(module.instantiation_is_visible());
    assert_eq!(module.start_export(), None);
}

#[test]
fn what_is_no_module_is_refused_by_name() {
    let engine = engine();
    let refused = |bytes: &[u8]| prepare(&engine, bytes).expect_err("no module");
    for bytes in [&b""[..], b"\0asm", b"(module)", b"\0asm\x01\0\0\0\x01"] {
        let error = refused(bytes);
        assert!(matches!(error, PrepareError::Rewrite(_)), "{error:?}");
    }
    let error = refused(&wat("(component)"));
    assert_eq!(error.to_string(), "a component, not a core module");
    let compiled = engine
        .precompile_module(&wat("(module)"))
        .expect("a module that compiles");
    assert!(matches!(refused(&compiled), PrepareError::Precompiled));
    let shared = wat("(module (memory 1 1 shared))");
    let without = Engine::new(Config::new().wasm_threads(false)).expect("an engine");
    let error = prepare(&without, &shared).expect_err("threads are off there");
    assert!(matches!(error, PrepareError::Compile(_)), "{error:?}");
}
