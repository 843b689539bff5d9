//! What is joined ends together, and an exit is an exit.

use std::time::Duration;

use wasi_threads_p1::p1_adapter::{P1CtxBuilder, StreamAccess};
use wasi_threads_p1::wasi_threads::{Limits, Outcome, prepare};
use wasmtime::{Config, Engine};

/// A thread reads what is never written, while main does `end`.
fn run(end: &str) -> Outcome {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true)).unwrap();
    let text = format!(
        r#"(module
            (import "env" "memory" (memory 1 1 shared))
            (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read"
              (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (export "memory" (memory 0))
            (func (export "wasi_thread_start") (param i32 i32)
              (i32.store (i32.const 16) (i32.const 64))
              (i32.store (i32.const 20) (i32.const 64))
              (i32.atomic.store (i32.const 0) (i32.const 1))
              (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
              (drop (call $read (i32.const 3) (i32.const 16) (i32.const 1) (i32.const 8)))
              (unreachable))
            (func (export "_start")
              (drop (call $spawn (i32.const 0)))
              (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))
              {end}))"#
    );
    let module = prepare(&engine, &wat::parse_str(text).unwrap()).unwrap();
    let ctx = P1CtxBuilder::new().build().unwrap();
    let (reader, _writer) = std::io::pipe().unwrap();
    assert_eq!(ctx.push_stream(reader, StreamAccess::Read).unwrap(), 3);
    let group = wasi_threads_p1::program(&engine, &module, &ctx)
        .unwrap()
        .limits(Limits::new().timeout(Duration::from_secs(60)))
        // Longer than the test's time limit: no thread is left behind.
        .grace(Duration::MAX)
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    assert!(group.left_behind().is_empty());
    drop(group);
    assert!(ctx.end_signal().is_raised());
    outcome
}

#[test]
fn the_end_of_the_group_ends_calls_that_block() {
    let outcome = run("");
    assert!(matches!(outcome, Outcome::Returned), "{outcome}");
}

#[test]
fn an_exit_is_an_exit() {
    let outcome = run("(call $exit (i32.const 259))");
    assert_eq!(outcome.into_exit_status().unwrap(), 259);
}
