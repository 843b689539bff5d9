//! The smallest host of a program with threads: an engine, a module, a context, a group.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example hello
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;

use wasi_threads_p1::p1_adapter::P1CtxBuilder;
use wasi_threads_p1::wasi_threads::{Limits, prepare};
use wasmtime::{Config, Engine};

/// Main starts a thread, which writes a line, and waits for it. A program of a compiler's looks the
/// same from outside.
const PROGRAM: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (export "memory" (memory 0))
  (data $line "hello from a thread\n")
  (func (export "wasi_thread_start") (param $id i32) (param $arg i32)
    (memory.init $line (i32.const 64) (i32.const 0) (i32.const 20))
    (i32.store (i32.const 16) (i32.const 64))
    (i32.store (i32.const 20) (i32.const 20))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
    (i32.atomic.store (i32.const 0) (i32.const 1))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start")
    (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 0)) (then unreachable))
    (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1)))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    // Shared memories for threads; epochs, so that threads that compute can be ended, too.
    let mut config = Config::new();
    config.shared_memory(true).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let module = prepare(&engine, &wat::parse_str(PROGRAM)?)?;
    // What the program has of its host: nothing but where it writes to.
    let ctx = P1CtxBuilder::new().inherit_stdout().arg("hello").build()?;
    let group = wasi_threads_p1::program(&engine, &module, &ctx)?
        .limits(Limits::new().threads(4))
        .build()?;
    // Blocks until the program has ended, with every thread of it.
    let outcome = group.run("_start")?;
    println!(
        "{outcome}, and had {} thread(s)",
        group.thread_counts().started
    );
    std::process::exit(outcome.into_exit_status()?);
}
