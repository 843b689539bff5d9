//! A prepared module survives being a file.
// `Module::deserialize` is unsafe: it trusts the bytes, here its own.
#![allow(unsafe_code)]

use wasi_threads::{StampError, Stamped, ThreadModule, prepare};
use wasmtime::{Engine, Module};

use super::both::{engine, wat};

const EVERYTHING: &str = "(module
    (import \"env\" \"memory\" (memory 1 2 shared))
    (memory $own 1 1 shared)
    (data (i32.const 0) \"active\")
    (func (result i32) (memory.atomic.notify (i32.const 0) (i32.const 0)))
    (func (result i32) (memory.atomic.wait32 $own (i32.const 0) (i32.const 0) (i64.const 0)))
    (func (result i32) (memory.atomic.wait64 (i32.const 0) (i64.const 0) (i64.const 0)))
    (func $start) (start $start))";

fn load(engine: &Engine, bytes: &[u8]) -> Module {
    // SAFETY: the bytes come from `Module::serialize` of this very process, and
    // nothing has changed them.
    unsafe { Module::deserialize(engine, bytes) }.expect("a module wasmtime wrote")
}

#[test]
fn what_was_found_is_found_again() {
    let engine = engine();
    for text in [EVERYTHING, "(module)", "(module (func $f) (start $f))"] {
        let before = prepare(&engine, &wat(text)).expect("a module to prepare");
        let bytes = before.serialize().expect("bytes");
        let stamped = Stamped::parse(&bytes).expect("a stamp");
        let module = load(&engine, stamped.compiled());
        let after = stamped.into_module(module).expect("a stamp that fits");
        // All of it, as far as it can be seen.
        let shown = |module: &ThreadModule| {
            format!("{module:?}")
                .split_once("shared_memories")
                .map(|(_, rest)| rest.to_owned())
        };
        assert!(shown(&before).is_some_and(|text| text.contains("code_file_shift")));
        assert_eq!(shown(&before), shown(&after));
        assert_eq!(before.start_export(), after.start_export());
    }
}

#[test]
fn a_foreign_compiled_module_has_no_stamp() {
    let engine = engine();
    let bytes = engine
        .precompile_module(&wat("(module)"))
        .expect("a module that compiles");
    assert!(matches!(Stamped::parse(&bytes), Err(StampError::Missing)));
    assert!(matches!(Stamped::parse(b""), Err(StampError::Missing)));
    let unprepared = ThreadModule::from_unprepared(load(&engine, &bytes));
    let bytes = unprepared.serialize().expect("bytes");
    assert!(matches!(Stamped::parse(&bytes), Err(StampError::Missing)));
}

#[test]
fn a_damaged_stamp_is_told_and_never_a_panic() {
    let engine = engine();
    let module = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
    let bytes = module.serialize().expect("bytes");
    let compiled = Stamped::parse(&bytes).expect("a stamp").compiled().len();
    let stamp = &bytes[compiled..];
    for cut in 1..stamp.len() {
        // The front is missing, so that the end still says there is a stamp.
        let result = Stamped::parse(&stamp[cut..]);
        assert!(result.is_err(), "{cut} bytes less");
    }
    for at in 0..stamp.len() {
        for value in [0, 1, 0x7f, 0xff] {
            let mut changed = stamp.to_vec();
            changed[at] = value;
            // Some changes make another stamp that can be read.
            let _ = Stamped::parse(&changed);
        }
    }
}

#[test]
fn a_stamp_of_another_module_is_refused() {
    let engine = engine();
    let module = prepare(&engine, &wat(EVERYTHING)).expect("a module to prepare");
    let bytes = module.serialize().expect("bytes");
    for other in [
        "(module)",
        "(module (table (export \"wasi-threads:waits\") 3 funcref))",
        "(module (table (export \"wasi-threads:waits\") 2 funcref)
           (memory (export \"wasi-threads:memory-0\") 1 1 shared)
           (memory (export \"wasi-threads:memory-1\") 1 1)
           (func (export \"wasi-threads:start\")))",
        "(module (table (export \"wasi-threads:waits\") 3 funcref)
           (memory (export \"wasi-threads:memory-0\") 1 1 shared)
           (memory (export \"wasi-threads:memory-1\") 1 1 shared)
           (func (export \"wasi-threads:start\") (param i32)))",
    ] {
        let stamped = Stamped::parse(&bytes).expect("a stamp");
        let module = Module::new(&engine, other).expect("a module that compiles");
        let result = stamped.into_module(module);
        assert!(matches!(result, Err(StampError::Foreign(_))), "{other}");
    }
}
