//! Names from a module are escaped and cut in every text of the crate.

mod support;

use std::fmt::Display;
use std::sync::Arc;

use support::{builder, engine, guest, watchdog};
use wasi_threads::{GroupError, Outcome, prepare};
use wasmtime::{Config, Engine, Linker, WasmBacktraceDetails};

const NAME: &str = "\\1b]0;owned\\07\\0d\\0a\\e2\\80\\aeevil";
const VISIBLE: &str = r"\u{1b}]0;owned\u{7}\r\n\u{202e}evil";

#[track_caller]
fn assert_visible(text: &dyn Display) {
    let text = text.to_string();
    assert!(text.contains(VISIBLE), "{text}");
    let plain = |char: char| char == '\n' || (!char.is_control() && char != '\u{202e}');
    assert!(text.chars().all(plain), "{text:?}");
    assert!(text.len() < 10_000);
}

#[test]
fn in_a_backtrace() {
    let _dog = watchdog("in_a_backtrace", 60);
    let long = "n".repeat(20_000);
    let body = format!(
        r#"(func $f (@name "{NAME}") unreachable)
           (func $g (@name "{long}") (call $f))
           (func (export "_start") (call $g))"#
    );
    let engine = engine();
    let module = prepare(&engine, &guest(&body)).unwrap();
    let group = builder(&engine, &module, &Arc::default()).build().unwrap();
    let outcome = group.run("_start").unwrap();
    let backtrace = group.backtrace_of(&outcome).unwrap();
    assert_visible(&backtrace);
    let frames = backtrace.to_frames();
    assert_eq!(frames.len(), 3);
    assert_eq!(frames[0].module_name(), Some("<unknown>"));
    assert_eq!(frames[1].func_name(), Some(long.as_str()));
    assert!(frames[1].to_string().len() < 1100);
}

/// The text is the same as Wasmtime's, also if the engine looks up debug information.
#[test]
fn as_wasmtime_writes_it() {
    let _dog = watchdog("as_wasmtime_writes_it", 60);
    let body = r#"(func $inner unreachable) (func (export "_start") (call $inner))"#;
    for details in [WasmBacktraceDetails::Disable, WasmBacktraceDetails::Enable] {
        let mut config: Config = support::config();
        config.wasm_backtrace_details(details);
        let engine = Engine::new(&config).unwrap();
        let module = prepare(&engine, &guest(body)).unwrap();
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        let outcome = group.run("_start").unwrap();
        let ours = group.backtrace_of(&outcome).unwrap().to_string();
        let theirs = outcome.backtrace().unwrap().to_string();
        let theirs = theirs.replace("error while executing at ", "");
        assert_eq!(ours, theirs);
    }
}

#[test]
fn in_errors() {
    let engine = engine();
    let build = |text: String| {
        let module = prepare(&engine, &wat::parse_str(text).unwrap()).unwrap();
        let linker: Linker<()> = Linker::new(&engine);
        let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker);
        group.state(|_| ()).build().unwrap_err()
    };
    let spawn = r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#;
    let error = build(format!(
        r#"(module {spawn} (import "{NAME}" "memory" (memory 1)) (export "memory" (memory 0)))"#
    ));
    assert!(matches!(error, GroupError::MemoryNotShared { .. }));
    assert_visible(&error);
    let error = build(format!(r#"(module (import "{NAME}" "f" (func)))"#));
    assert!(matches!(error, GroupError::Link(_)));
    assert_visible(&error);
    assert!(!format!("{:?}", Outcome::Returned).is_empty());
}
