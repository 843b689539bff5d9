//! Results that a program leaves in its memory, read after its end: no copy through a pipe, no call
//! back into code that has ended.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example results
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;

use wasi_threads_p1::p1_adapter::P1CtxBuilder;
use wasi_threads_p1::wasi_threads::{Outcome, prepare};
use wasmtime::{Config, Engine};

/// Four threads fill a quarter each of a table of squares. Where it is, main leaves at 16 (address,
/// count): a C program would leave it in a variable whose address an export returns.
const PROGRAM: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param $id i32) (param $from i32) (local $n i32)
    (local.set $n (local.get $from))
    (loop $next
      (i32.store
        (i32.add (i32.const 4096) (i32.mul (local.get $n) (i32.const 4)))
        (i32.mul (local.get $n) (local.get $n)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $next
        (i32.lt_u (local.get $n) (i32.add (local.get $from) (i32.const 250)))))
    (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
  (func (export "_start") (local $n i32) (local $seen i32)
    (loop $next
      (if (i32.lt_s (call $spawn (local.get $n)) (i32.const 0)) (then unreachable))
      (local.set $n (i32.add (local.get $n) (i32.const 250)))
      (br_if $next (i32.lt_u (local.get $n) (i32.const 1000))))
    (loop $again
      (local.set $seen (i32.atomic.load (i32.const 0)))
      (if (i32.lt_s (local.get $seen) (i32.const 4))
        (then
          (drop (memory.atomic.wait32 (i32.const 0) (local.get $seen) (i64.const -1)))
          (br $again))))
    (i32.store (i32.const 16) (i32.const 4096))
    (i32.store (i32.const 20) (i32.const 1000))))"#;

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let module = prepare(&engine, &wat::parse_str(PROGRAM)?)?;
    let ctx = P1CtxBuilder::new().build()?;
    let group = wasi_threads_p1::program(&engine, &module, &ctx)?.build()?;
    // May be had before the run, and outlives the group.
    let memory = group
        .host_memory()
        .ok_or("the program has no shared memory")?;
    let outcome = group.run("_start")?;
    if !matches!(outcome, Outcome::Returned) {
        return Err(outcome.to_string().into());
    }
    drop(group);

    // Address and length are the program's words: `read_vec` looks whether they are inside the
    // memory before it allocates.
    let (at, count) = (memory.load32(16)?, memory.load32(20)?);
    let bytes = memory.read_vec(at.into(), count as usize * 4)?;
    let squares: Vec<u32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect();
    let sum: u64 = squares.iter().map(|square| u64::from(*square)).sum();
    println!(
        "{} squares, the last {}, their sum {sum}",
        squares.len(),
        squares[999]
    );
    match memory.read_vec(at.into(), 1 << 40) {
        Err(error) => println!("a terabyte of them: {error}"),
        Ok(_) => return Err("the memory is not so large".into()),
    }
    Ok(())
}
