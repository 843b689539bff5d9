//! Waiting and waking: the bare futex system call, `parking_lot_core`,
//! Wasmtime's own parking spot (what an unprepared module gets) and the parking
//! lot of `wasi-threads`, on the same kind of word in the same run.
//!
//! Each row runs every contender in turn, round by round, so that a change of the machine's speed
//! affects all of them. It prints the median round, and its ratio to the first contender.
//!
//! Arguments name the rows to run.
#![allow(unsafe_code)]
#![allow(clippy::print_stdout)]

#[path = "waits/contenders.rs"]
mod contenders;

use contenders::{Contender, Core, Futex, Lot, Place, Spot, Words};
use std::hint::black_box;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasi_threads::waits::{ParkingLot, Role};

/// Runs `body` on `threads` threads at once; nanoseconds per operation.
fn timed<C: Contender>(
    threads: u32,
    ops: u64,
    body: impl Fn(u32, &C::Place, &Words) + Sync,
) -> f64 {
    let words = Words::new();
    let contender = C::new(&words.memory);
    let barrier = Barrier::new(threads as usize + 1);
    let places: Vec<_> = (0..threads).map(|id| contender.place(id)).collect();
    let elapsed = std::thread::scope(|scope| {
        for (id, place) in (0..).zip(places) {
            let (barrier, body, words) = (&barrier, &body, &words);
            scope.spawn(move || {
                barrier.wait();
                body(id, &place, words);
                barrier.wait();
            });
        }
        barrier.wait();
        let start = Instant::now();
        barrier.wait();
        start.elapsed()
    });
    elapsed.as_nanos() as f64 / ops as f64
}

/// Drepper's second mutex, as wasi-libc's locks and Rust's are built.
fn mutex<C: Contender>(threads: u32, each: u64, work: u32) -> f64 {
    let counter = AtomicU64::new(0);
    let result = timed::<C>(threads, each * u64::from(threads), |_, place, words| {
        let word = words.get(0);
        for _ in 0..each {
            if word
                .compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst)
                .is_err()
            {
                while word.swap(2, Ordering::SeqCst) != 0 {
                    place.wait(word, 2);
                }
            }
            let value = counter.load(Ordering::Relaxed);
            spend(work);
            counter.store(value + 1, Ordering::Relaxed);
            if word.swap(0, Ordering::SeqCst) == 2 {
                place.notify(word, 1);
            }
            spend(work);
        }
    });
    assert_eq!(
        counter.into_inner(),
        each * u64::from(threads),
        "mutex broken"
    );
    result
}

fn spend(work: u32) {
    for i in 0..work {
        black_box(i);
    }
}

/// Two threads take turns: one operation is half a round trip.
fn pingpong<C: Contender>(pairs: u32, turns: u64) -> f64 {
    timed::<C>(2 * pairs, turns, |id, place, words| {
        let word = words.get(id / 2);
        for turn in 0..turns as u32 {
            if turn % 2 != id % 2 {
                continue;
            }
            loop {
                let seen = word.load(Ordering::SeqCst);
                if seen == turn {
                    break;
                }
                place.wait(word, seen);
            }
            word.store(turn + 1, Ordering::SeqCst);
            place.notify(word, 1);
        }
    })
}

/// One thread wakes many that wait on one word.
fn broadcast<C: Contender>(waiters: u32, rounds: u64) -> f64 {
    timed::<C>(
        waiters + 1,
        rounds * u64::from(waiters),
        |id, place, words| {
            let (go, arrived) = (words.get(0), words.get(1));
            for round in 1..=rounds as u32 {
                if id > 0 {
                    if arrived.fetch_add(1, Ordering::SeqCst) + 1 == waiters * round {
                        place.notify(arrived, 1);
                    }
                    while go.load(Ordering::SeqCst) < round {
                        place.wait(go, round - 1);
                    }
                } else {
                    loop {
                        let seen = arrived.load(Ordering::SeqCst);
                        if seen == waiters * round {
                            break;
                        }
                        place.wait(arrived, seen);
                    }
                    go.store(round, Ordering::SeqCst);
                    place.notify(go, u32::MAX);
                }
            }
        },
    )
}

fn idle_notify<C: Contender>(ops: u64) -> f64 {
    timed::<C>(1, ops, |_, place, words| {
        let word = words.get(0);
        for _ in 0..ops {
            place.notify(black_box(word), 1);
        }
    })
}

fn not_equal<C: Contender>(ops: u64) -> f64 {
    timed::<C>(1, ops, |_, place, words| {
        let word = words.get(0);
        for _ in 0..ops {
            place.wait(black_box(word), 1);
        }
    })
}

const ROUNDS: usize = 11;

macro_rules! row {
    ($name:expr, $f:ident($($arg:expr),*)) => {
        if wanted($name) {
        let mut rounds: [Vec<f64>; 5] = Default::default();
        for _ in 0..ROUNDS {
            rounds[0].push($f::<Futex>($($arg),*));
            rounds[1].push($f::<Core>($($arg),*));
            rounds[2].push($f::<Spot>($($arg),*));
            rounds[3].push($f::<Lot<false>>($($arg),*));
            rounds[4].push($f::<Lot<true>>($($arg),*));
        }
        print_row($name, rounds);
        }
    };
}

fn wanted(row: &str) -> bool {
    let mut names = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .peekable();
    names.peek().is_none() || names.any(|name| row.contains(&name))
}

fn print_row(name: &str, mut rounds: [Vec<f64>; 5]) {
    let medians = rounds.each_mut().map(|times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    print!("{name:32}");
    for median in medians {
        print!(" {median:9.0} {:5.2}x", median / medians[0]);
    }
    println!();
}

/// How long ending many parked threads takes: until `end` returns, and until
/// the last thread runs.
fn end(threads: u32) -> (Duration, Duration) {
    let lot = ParkingLot::new(threads as usize, true);
    let words: Vec<AtomicU32> = (0..threads).map(|_| AtomicU32::new(0)).collect();
    let last = AtomicU64::new(0);
    let origin = Instant::now();
    let (start, returned) = std::thread::scope(|scope| {
        for id in 0..threads {
            let waiter = lot.register(id, Role::Guest);
            let (words, last) = (&words, &last);
            let build = std::thread::Builder::new().stack_size(64 << 10);
            let spawned = build.spawn_scoped(scope, move || {
                waiter.wait32(&words[id as usize], 0, -1, &mut || ());
                last.fetch_max(origin.elapsed().as_nanos() as u64, Ordering::SeqCst);
            });
            spawned.expect("a thread");
        }
        while lot.statistics().queued < u64::from(threads) {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(20));
        let start = origin.elapsed();
        lot.end();
        (start, origin.elapsed() - start)
    });
    let all = Duration::from_nanos(last.into_inner()) - start;
    (returned, all)
}

fn main() {
    print!("{:32}", "ns per operation, ratio");
    for name in [
        Futex::NAME,
        Core::NAME,
        Spot::NAME,
        Lot::<false>::NAME,
        Lot::<true>::NAME,
    ] {
        print!(" {name:>16}");
    }
    println!();
    row!("notify, nobody waits", idle_notify(300_000));
    row!("wait, value differs", not_equal(300_000));
    row!("ping-pong, 1 pair", pingpong(1, 40_000));
    row!("ping-pong, 4 pairs", pingpong(4, 10_000));
    row!("mutex, 2 threads", mutex(2, 200_000, 0));
    row!("mutex, 4 threads", mutex(4, 100_000, 0));
    row!("mutex, 2 threads, work", mutex(2, 50_000, 200));
    row!("mutex, 8 threads, work", mutex(8, 20_000, 200));
    row!("broadcast to 16", broadcast(16, 500));
    if !wanted("end of 1000") {
        return;
    }
    let mut ends: Vec<_> = (0..ROUNDS).map(|_| end(1000)).collect();
    ends.sort();
    let (returned, _) = ends[ROUNDS / 2];
    ends.sort_by_key(|(_, all)| *all);
    println!(
        "end of 1000 parked threads: returns after {returned:.1?} (median), \
         last thread runs after {:.1?} (median), {:.1?} (worst of {ROUNDS})",
        ends[ROUNDS / 2].1,
        ends[ROUNDS - 1].1
    );
}
