//! Runs whose threads take turns: one seed, one run, and a search for the seed that fails. Needs
//! the feature `replay`.
//!
//! `replay-threads` decides whose turn it is, `wasi-threads` gives the turn, and `p1-adapter` asks
//! for time and order. None of them knows another, and they meet here. [`explore`] runs a program
//! under many seeds, in this process, and finds which of the decisions a failure needs.
//! [`schedule`] and [`World`] are for one run.
//!
//! ```
//! use wasi_threads_p1::p1_adapter::P1CtxBuilder;
//! use wasi_threads_p1::replay::explore;
//! use wasi_threads_p1::wasi_threads::rewrite::{Points, RewriteOptions};
//! use wasi_threads_p1::wasi_threads::{Outcome, prepare_with};
//! use wasmtime::{Config, Engine};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
//! // Two threads add one to a word, each with a load and a store; main waits for both.
//! let bytes = wat::parse_str(
//!     r#"(module
//!          (import "env" "memory" (memory 1 1 shared))
//!          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
//!          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
//!          (export "memory" (memory 0))
//!          (func (export "wasi_thread_start") (param i32 i32)
//!            (i32.atomic.store (i32.const 0)
//!              (i32.add (i32.atomic.load (i32.const 0)) (i32.const 1)))
//!            (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
//!            (drop (memory.atomic.notify (i32.const 4) (i32.const 1))))
//!          (func (export "_start") (local $n i32)
//!            (drop (call $spawn (i32.const 0)))
//!            (drop (call $spawn (i32.const 0)))
//!            (loop $again
//!              (local.set $n (i32.atomic.load (i32.const 4)))
//!              (if (i32.ne (local.get $n) (i32.const 2))
//!                (then
//!                  (drop (memory.atomic.wait32 (i32.const 4) (local.get $n) (i64.const -1)))
//!                  (br $again))))
//!            (if (i32.ne (i32.atomic.load (i32.const 0)) (i32.const 2))
//!              (then (call $exit (i32.const 3))))))"#,
//! )?;
//! // The turn moves at atomics; with `Points::Accesses` at every load and store as well.
//! let mut options = RewriteOptions::default();
//! options.points = Some(Points::Atomics);
//! let module = prepare_with(&engine, &bytes, &options)?;
//!
//! let explored = explore(&module, 1000, |run| {
//!     let mut ctx = P1CtxBuilder::new();
//!     run.give_world(&mut ctx);
//!     wasi_threads_p1::program(&engine, &module, &ctx.build()?)
//! })?;
//! let failed = explored.failed.expect("an update is lost");
//! assert!(matches!(failed.outcome, Outcome::Exited(3)));
//! // The turn had to go from one thread, between its load and its store, to the other.
//! assert!(failed.decisions.len() <= 3, "{failed}");
//! # Ok(())
//! # }
//! ```

mod bridge;
mod exploration;
mod random;
mod world;

pub use bridge::schedule;
pub use exploration::{Exploration, ExploreError, Explored, Failed, SeedRun, explore};
pub use replay_threads;
pub use world::{START, World};
