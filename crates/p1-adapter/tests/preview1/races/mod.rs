//! Several threads on one descriptor, one number, one file.
//!
//! Each property is a check over [`calls::Calls`], made with 2, 4 and 16 threads. It must hold for
//! this crate's functions, and must fail for functions with the fault that it is about. `P1_ROUNDS`
//! sets how often each is repeated (`scripts/p1-stress.sh`). What concerns streams alone (writes
//! that queue, waits that end) is in `tests/blocking`.

mod calls;
mod files;
mod numbers;
pub(crate) mod waits;

use crate::guest::*;

/// What a check says: nothing, or what went wrong.
type Check = Result<(), String>;

/// How many threads.
const CROWDS: [u32; 3] = [2, 4, 16];

/// How often to repeat a check: `least`, or more with `P1_ROUNDS`. A tenth on Windows: an open
/// takes many times as long there.
fn rounds(least: u32) -> u32 {
    let least = if cfg!(windows) {
        least.div_ceil(10)
    } else {
        least
    };
    let asked = std::env::var("P1_ROUNDS").ok();
    let asked = asked.map_or(0, |text| text.parse().expect("P1_ROUNDS is a number"));
    least.max(asked)
}

/// Runs `run` on `n` threads of one guest.
fn threads<R: Send>(first: &Guest, n: u32, run: impl Fn(u32, &mut Guest) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let run = &run;
        let running: Vec<_> = (0..n)
            .map(|i| {
                let mut guest = first.thread();
                scope.spawn(move || run(i, &mut guest))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}
