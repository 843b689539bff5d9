//! A host of plug-ins. Four threads of the host call one library again and again, and the library
//! keeps its state from call to call. Another plug-in fails, and the host goes on.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example plugins
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::{Arc, Mutex};

use wasi_threads_p1::p1_adapter::{P1CtxBuilder, P1State};
use wasi_threads_p1::wasi_threads::{CallError, Reactor, prepare};
use wasmtime::{Config, Engine};

/// A library (WASI calls it a reactor): `_initialize` once, then any export. It counts words of the
/// host's, on a thread of its own.
const PLUGIN: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (export "memory" (memory 0))
  (global (export "version") i32 (i32.const 3))
  (func (export "_initialize") (drop (call $spawn (i32.const 0))))
  ;; The thread takes jobs at 0 (its number), counts what is at 1024, and leaves the count at 8.
  (func (export "wasi_thread_start") (param $id i32) (param $arg i32) (local $done i32)
    (loop $next
      (drop (memory.atomic.wait32 (i32.const 0) (local.get $done) (i64.const -1)))
      (if (i32.ne (i32.atomic.load (i32.const 0)) (local.get $done))
        (then
          (local.set $done (i32.atomic.load (i32.const 0)))
          (i32.store (i32.const 8) (call $count))
          (i32.atomic.store (i32.const 4) (local.get $done))
          (drop (memory.atomic.notify (i32.const 4) (i32.const 1)))))
      (br $next)))
  (func $count (result i32) (local $at i32) (local $words i32) (local $inside i32) (local $byte i32)
    (local.set $at (i32.const 1024))
    (loop $next
      (local.set $byte (i32.load8_u (local.get $at)))
      (if (i32.gt_u (local.get $byte) (i32.const 32))
        (then
          (if (i32.eqz (local.get $inside))
            (then (local.set $words (i32.add (local.get $words) (i32.const 1)))))
          (local.set $inside (i32.const 1)))
        (else (local.set $inside (i32.const 0))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (br_if $next (local.get $byte)))
    (local.get $words))
  ;; Where the host may write so many bytes.
  (func (export "buffer") (param $length i32) (result i32)
    (if (i32.gt_u (local.get $length) (i32.const 60000)) (then unreachable))
    (i32.const 1024))
  (func (export "count") (result i32) (local $job i32)
    (local.set $job
      (i32.add (i32.atomic.rmw.add (i32.const 0) (i32.const 1)) (i32.const 1)))
    (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
    (loop $again
      (if (i32.ne (i32.atomic.load (i32.const 4)) (local.get $job))
        (then
          (drop (memory.atomic.wait32
            (i32.const 4) (i32.sub (local.get $job) (i32.const 1)) (i64.const -1)))
          (br $again))))
    (i32.load (i32.const 8))))"#;

/// A plug-in whose calls go together in pairs: the text, then its count. The host has a lock that
/// keeps a pair together.
struct WordCounter {
    plugin: Reactor<P1State>,
    pair: Mutex<()>,
}

impl WordCounter {
    fn new(engine: &Engine, bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let module = prepare(engine, bytes)?;
        let ctx = P1CtxBuilder::new().build()?;
        let group = wasi_threads_p1::program(engine, &module, &ctx)?.build()?;
        Ok(Self {
            plugin: group.into_reactor()?,
            pair: Mutex::new(()),
        })
    }

    fn count(&self, text: &str) -> Result<i32, Box<dyn Error + Send + Sync>> {
        let _pair = self.pair.lock().map_err(|_| "another caller panicked")?;
        let length = i32::try_from(text.len() + 1)?;
        let at = self.plugin.call::<i32, i32>("buffer", length)?;
        let memory = self.plugin.group().host_memory().ok_or("no memory")?;
        // What the plug-in says is checked: an address that is not there is an error, and nothing
        // is written.
        memory.write(at as u32 as u64, text.as_bytes())?;
        memory.write(at as u32 as u64 + text.len() as u64, &[0])?;
        Ok(self.plugin.call("count", ())?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let counter = Arc::new(WordCounter::new(&engine, &wat::parse_str(PLUGIN)?)?);
    let version = counter.plugin.global("version")?.unwrap_i32();
    println!("plug-in of version {version}");

    let callers: Vec<_> = (1..=4)
        .map(|caller| {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || {
                let text = "so many words ".repeat(caller);
                (0..25).try_fold(0, |sum, _| counter.count(&text).map(|words| sum + words))
            })
        })
        .collect();
    for (caller, thread) in (1..).zip(callers) {
        let words = thread.join().map_err(|_| "a caller panicked")?;
        let words = words.map_err(|error| error.to_string())?;
        println!("caller {caller}: {words} words in 25 calls");
    }

    // A call that traps ends this plug-in, and later calls say so; the host goes on.
    let failed = counter.plugin.call::<i32, i32>("buffer", 1 << 20);
    if let Err(CallError::Ended(outcome)) = failed {
        println!("the plug-in has failed: {outcome}");
    }
    let after = counter.count("one more").map_err(|error| error.to_string());
    println!("then: {}", after.err().unwrap_or_default());
    Ok(())
}
