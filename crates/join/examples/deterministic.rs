//! A program whose clocks and random numbers are the host's own: two runs print the same.
//!
//! The scheduler still decides the order of threads: a program whose output depends on that order
//! still differs.
//!
//! ```sh
//! cargo run -p wasi-threads-p1 --example deterministic
//! ```
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasi_threads_p1::p1_adapter::{HostMonotonicClock, HostWallClock, P1CtxBuilder, RandomSource};
use wasi_threads_p1::wasi_threads::prepare;
use wasmtime::{Config, Engine};

/// Leaves at 0: two readings of the time of day, one of the monotonic clock, a random number.
const PROGRAM: &str = r#"(module
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "env" "memory" (memory 1 1 shared))
  (export "memory" (memory 0))
  (func (export "_start")
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 0)))
    (drop (call $clock (i32.const 0) (i64.const 1) (i32.const 8)))
    (drop (call $clock (i32.const 1) (i64.const 1) (i32.const 16)))
    (drop (call $random (i32.const 24) (i32.const 8)))))"#;

/// A clock that goes on by a millisecond whenever it is read, from the beginning of 2024 on.
struct Ticks(AtomicU64);

impl Ticks {
    fn tick(&self) -> Duration {
        Duration::from_millis(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

impl HostWallClock for Ticks {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }
    fn now(&self) -> Duration {
        Duration::from_secs(1_704_067_200) + self.tick()
    }
}

impl HostMonotonicClock for Ticks {
    fn resolution(&self) -> u64 {
        1_000_000
    }
    fn now(&self) -> u64 {
        1_000_000_000 + self.tick().as_nanos() as u64
    }
}

/// Random numbers of a seed (SplitMix64). Any number of threads may ask.
struct Seeded(AtomicU64);

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(8) {
            let step = 0x9e37_79b9_7f4a_7c15_u64;
            let mut z = self.0.fetch_add(step, Ordering::Relaxed).wrapping_add(step);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            piece.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..piece.len()]);
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new(Config::new().shared_memory(true).epoch_interruption(true))?;
    let module = prepare(&engine, &wat::parse_str(PROGRAM)?)?;
    for seed in [1, 1, 2] {
        let ctx = P1CtxBuilder::new()
            .wall_clock(Ticks(AtomicU64::new(0)))
            .monotonic_clock(Ticks(AtomicU64::new(0)))
            .secure_random(Seeded(AtomicU64::new(seed)))
            .build()?;
        let group = wasi_threads_p1::program(&engine, &module, &ctx)?.build()?;
        group.run("_start")?.into_exit_status()?;
        let memory = group.host_memory().ok_or("no memory")?;
        println!(
            "seed {seed}: {} s, then {} ms later; monotonic {} ns; random {:016x}",
            memory.load64(0)? / 1_000_000_000,
            (memory.load64(8)? - memory.load64(0)?) / 1_000_000,
            memory.load64(16)?,
            memory.load64(24)?,
        );
    }
    Ok(())
}
