//! The start function becomes an export, and instantiation runs nothing.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use interruptible_wasm::{RewriteOptions, rewrite, rewrite_with};
use wasmtime::{Engine, Linker, Module, Store};

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

/// A shared memory that has no export gets one, and nothing else happens.
#[test]
fn a_hidden_shared_memory_is_exported() {
    let bytes = wat("(module (memory 1) (memory 1 2 shared) (func (export \"f\")))");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    let module = Module::from_binary(&engine(), &after.bytes).expect("a module that compiles");
    let names: Vec<_> = module.exports().map(|export| export.name()).collect();
    assert_eq!(names, ["f", "wasi-threads:memory-1"]);
    assert_eq!(after.appended_exports, ["wasi-threads:memory-1"]);
    assert_eq!(after.first_appended_function, None);
    let twice = rewrite(&after.bytes).expect("a module that can be rewritten");
    assert!(matches!(twice.bytes, Cow::Borrowed(_)));
}

/// Also that of a module that has neither code nor data: it was once overlooked.
#[test]
fn a_memory_with_nothing_beside_it_is_exported() {
    for (text, name) in [
        ("(module (memory 1 2 shared))", "wasi-threads:memory-0"),
        (
            "(module (import \"env\" \"m\" (memory 1)) (memory 1 2 shared))",
            "wasi-threads:memory-1",
        ),
    ] {
        let bytes = wat(text);
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        assert_eq!(after.appended_exports, [name], "{text}");
        Module::from_binary(&engine(), &after.bytes).expect("a module that compiles");
    }
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
