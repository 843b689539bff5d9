//! What a [`ThreadModule`] knows of the module it was made from.

use wasi_threads::{PrepareError, Stamped, ThreadEntry, ThreadModule, prepare};
use wasmtime::{Config, Engine, Module, Store};

use super::{engine, wat};

const COUNTS: &str = "(module
    (import \"env\" \"count\" (func $count))
    (func $start (call $count))
    (start $start))";

#[test]
fn what_the_group_has_to_know_is_found() {
    let engine = engine();
    let found = |text: &str| prepare(&engine, &wat(text)).expect("a module to prepare");

    let plain = found("(module (memory (export \"memory\") 1) (func (export \"_start\")))");
    assert!(plain.is_prepared() && plain.waits_reach_group());
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

/// An export is known as the guest's own or as appended, whatever its name, also after the module
/// was a file.
#[test]
fn exports_are_told_apart_by_who_made_them() {
    let engine = engine();
    let waits = |memory: &str| {
        format!("(func (result i32) (memory.atomic.notify {memory} (i32.const 0) (i32.const 0)))")
    };
    let texts = [
        // Not waited on, and exported so that it can be limited.
        "(memory $m 1 1 shared) (func)".to_owned(),
        format!("(memory $m 1 1 shared) {}", waits("$m")),
        // The guest's own names, of whatever kind.
        "(memory (export \"wasi-threads:memory-0\") 1 1 shared)".to_owned(),
        format!(
            "(memory $m (export \"wasi-threads:memory-0\") 1 1 shared) {}",
            waits("$m")
        ),
        "(func (export \"wasi-threads:memory-7\"))".to_owned(),
        format!(
            "(memory $m 1 1 shared) (func (export \"wasi-threads:memory-0\"))
             (global (export \"wasi-threads:waits\") i32 (i32.const 0))
             (func $s (export \"wasi-threads:start\")) (start $s) {}",
            waits("$m")
        ),
    ];
    for text in texts {
        let bytes = wat(&format!("(module {text})"));
        let own: Vec<_> = names(&Module::new(&engine, &bytes).expect("a module that compiles"));
        let prepared = prepare(&engine, &bytes).expect("a module to prepare");
        let file = prepared.serialize().expect("bytes");
        let stamped = Stamped::parse(&file).expect("a stamp");
        let module = super::load(&engine, stamped.compiled());
        let loaded = stamped.into_module(module).expect("a stamp that fits");
        for module in [&prepared, &loaded] {
            let mut found = names(module.module());
            found.retain(|name| module.is_guest_export(name));
            assert_eq!(found, own, "{text}");
        }
    }
}

fn names(module: &Module) -> Vec<String> {
    let exports = module.exports();
    exports.map(|export| export.name().to_owned()).collect()
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
    for bytes in [&b""[..], b"\0a", b"\0asm", b"\0asm\x01\0\0\0\x01"] {
        let error = refused(bytes);
        assert!(matches!(error, PrepareError::Rewrite(_)), "{error:?}");
    }
    let error = refused(b"(module)");
    assert!(matches!(error, PrepareError::NotBinary), "{error:?}");
    assert!(error.to_string().contains("wat::parse_bytes"), "{error}");
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
