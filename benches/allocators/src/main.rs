//! A program that allocates all the time, from several threads.
//!
//! ```text
//! allocators HOW THREADS TASKS      prints: HOW THREADS TASKS NANOSECONDS CHECK
//! ```
//!
//! A task is 200,000 allocations of up to 4 KB, of which some 2,000 are kept at a time. HOW is one
//! of three. With `heap`, each allocation comes from the global allocator. With `reuse`, a buffer
//! that is given up serves again in the same thread. With `arena`, a task's allocations are made
//! side by side and given back together. The global allocator is wasi-libc's, unless a feature of
//! this package says otherwise.

#[cfg(feature = "cached")]
mod cached;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use bumpalo::Bump;

#[cfg(feature = "cached")]
#[global_allocator]
static ALLOCATOR: cached::Cached = cached::Cached;

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ALLOCATIONS: u32 = 200_000;
const KEPT: usize = 2_000;
/// What is given back at once in an arena that keeps nothing for longer.
const GENERATION: u32 = 2_000;

/// Marsaglia's xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    /// Small ones are more frequent than large ones.
    fn size(&mut self) -> usize {
        let most = 1 << self.below(13);
        1 + self.below(most) as usize
    }
}

fn heap(random: &mut Random) -> u64 {
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); KEPT];
    let mut sum = 0_u64;
    for at in 0..ALLOCATIONS {
        let mut bytes = Vec::with_capacity(random.size());
        bytes.push(at as u8);
        let old = std::mem::replace(
            &mut kept[random.below(KEPT as u64) as usize],
            black_box(bytes),
        );
        sum += u64::from(old.first().copied().unwrap_or_default());
    }
    sum
}

fn reuse(random: &mut Random) -> u64 {
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); KEPT];
    let mut spare: Vec<Vec<u8>> = Vec::new();
    let mut sum = 0_u64;
    for at in 0..ALLOCATIONS {
        let mut bytes = spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.reserve(random.size());
        bytes.push(at as u8);
        let old = std::mem::replace(
            &mut kept[random.below(KEPT as u64) as usize],
            black_box(bytes),
        );
        sum += u64::from(old.first().copied().unwrap_or_default());
        spare.push(old);
    }
    sum
}

fn arena(random: &mut Random) -> u64 {
    let mut arena = Bump::new();
    let mut sum = 0_u64;
    for first in (0..ALLOCATIONS).step_by(GENERATION as usize) {
        let mut kept: Vec<&[u8]> = vec![&[]; KEPT];
        for at in first..first + GENERATION {
            let bytes = arena.alloc_slice_fill_copy(random.size(), 0);
            bytes[0] = at as u8;
            let old = std::mem::replace(
                &mut kept[random.below(KEPT as u64) as usize],
                black_box(bytes),
            );
            sum += u64::from(old.first().copied().unwrap_or_default());
        }
        drop(kept);
        arena.reset();
    }
    sum
}

fn main() -> ExitCode {
    let typed: Vec<String> = std::env::args().skip(1).collect();
    let ways: [(&str, fn(&mut Random) -> u64); 3] =
        [("heap", heap), ("reuse", reuse), ("arena", arena)];
    let found = typed
        .first()
        .and_then(|how| ways.iter().find(|(name, _)| name == how));
    let (Some((name, task)), [_, threads, tasks]) = (found, &typed[..]) else {
        eprintln!("usage: allocators heap|reuse|arena THREADS TASKS");
        return ExitCode::from(2);
    };
    let (Ok(threads), Ok(tasks)) = (threads.parse::<u32>(), tasks.parse::<u32>()) else {
        eprintln!("allocators: THREADS and TASKS are numbers");
        return ExitCode::from(2);
    };
    let next = Arc::new(AtomicU32::new(0));
    let begin = Instant::now();
    let work = move |next: &AtomicU32, task: fn(&mut Random) -> u64| {
        let mut sum = 0_u64;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= tasks {
                return sum;
            }
            sum += task(&mut Random(u64::from(at) + 1));
        }
    };
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let (next, task) = (Arc::clone(&next), *task);
            std::thread::spawn(move || work(&next, task))
        })
        .collect();
    let mut sum = work(&next, *task);
    for other in others {
        sum += other.join().unwrap();
    }
    println!(
        "{name} {threads} {tasks} {} {sum:x}",
        begin.elapsed().as_nanos()
    );
    ExitCode::SUCCESS
}
