//! Waiting and waking: the bare futex system call, `parking_lot_core`,
//! Wasmtime's own parking spot (what an unprepared module gets) and the parking
//! lot of `wasi-threads`, on the same kind of word in the same run.
//!
//! Each row runs every contender in turn, round by round, so that a machine
//! that changes its mind changes it for all; the median round is printed, and
//! its ratio to the first contender.
//!
//! Arguments name the rows to run.
#![allow(unsafe_code)]
#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::time::{Duration, Instant};
use wasi_threads::memory::{offset_of, word32};
use wasi_threads::waits::{ParkingLot, Role, Waiter};
use wasmtime::{Config, Engine, MemoryType, SharedMemory};

/// A place to wait, as one thread sees it.
trait Place: Send {
    fn wait(&self, word: &AtomicU32, expected: u32);
    fn notify(&self, word: &AtomicU32, count: u32);
}

/// Makes a place for each thread of a run.
trait Contender {
    const NAME: &'static str;
    type Place: Place;
    fn new(memory: &SharedMemory) -> Self;
    fn place(&self, thread: u32) -> Self::Place;
}

struct Futex;

impl Place for Futex {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        use rustix::thread::futex;
        let _ = futex::wait(word, futex::Flags::PRIVATE, expected, None);
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        use rustix::thread::futex;
        let _ = futex::wake(word, futex::Flags::PRIVATE, count.min(i32::MAX as u32));
    }
}

impl Contender for Futex {
    const NAME: &'static str = "futex";
    type Place = Self;
    fn new(_: &SharedMemory) -> Self {
        Self
    }
    fn place(&self, _: u32) -> Self {
        Self
    }
}

struct Core;

impl Place for Core {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        // SAFETY: `validate` neither panics nor parks; the others do nothing.
        unsafe {
            parking_lot_core::park(
                word.as_ptr().addr(),
                || word.load(Ordering::SeqCst) == expected,
                || (),
                |_, _| (),
                parking_lot_core::DEFAULT_PARK_TOKEN,
                None,
            );
        }
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        let token = parking_lot_core::DEFAULT_UNPARK_TOKEN;
        // SAFETY: no callback does anything.
        unsafe {
            match count {
                1 => drop(parking_lot_core::unpark_one(word.as_ptr().addr(), |_| {
                    token
                })),
                _ => drop(parking_lot_core::unpark_all(word.as_ptr().addr(), token)),
            }
        }
    }
}

impl Contender for Core {
    const NAME: &'static str = "parking_lot_core";
    type Place = Self;
    fn new(_: &SharedMemory) -> Self {
        Self
    }
    fn place(&self, _: u32) -> Self {
        Self
    }
}

/// Wasmtime's waits take addresses in a shared memory, so that is where the
/// words of every contender are.
struct Spot {
    memory: SharedMemory,
}

impl Place for Spot {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        let address = offset_of(&self.memory, std::ptr::from_ref(word).addr());
        let address = address.expect("a word of this memory");
        let _ = self.memory.atomic_wait32(address, expected, None);
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        let address = offset_of(&self.memory, std::ptr::from_ref(word).addr());
        let address = address.expect("a word of this memory");
        let _ = self.memory.atomic_notify(address, count);
    }
}

impl Contender for Spot {
    const NAME: &'static str = "wasmtime";
    type Place = Self;
    fn new(memory: &SharedMemory) -> Self {
        Self {
            memory: memory.clone(),
        }
    }
    fn place(&self, _: u32) -> Self {
        Self {
            memory: self.memory.clone(),
        }
    }
}

/// The lot as a group without deadlock detection has it, or with.
struct Lot<const DETECT: bool>(Arc<ParkingLot>);

impl Place for Waiter {
    fn wait(&self, word: &AtomicU32, expected: u32) {
        self.wait32(word, expected, -1, &mut || ());
    }
    fn notify(&self, word: &AtomicU32, count: u32) {
        self.lot().notify(word, count);
    }
}

impl<const DETECT: bool> Contender for Lot<DETECT> {
    const NAME: &'static str = if DETECT { "lot, deadlocks" } else { "lot" };
    type Place = Waiter;
    fn new(_: &SharedMemory) -> Self {
        Self(ParkingLot::new(64, DETECT))
    }
    fn place(&self, thread: u32) -> Waiter {
        self.0.register(thread, Role::Guest)
    }
}

/// Words of a fresh shared memory, each on a cache line of its own.
struct Words {
    memory: SharedMemory,
}

impl Words {
    fn new() -> Self {
        static ENGINE: LazyLock<Engine> =
            LazyLock::new(|| Engine::new(Config::new().shared_memory(true)).expect("an engine"));
        let memory = SharedMemory::new(&ENGINE, MemoryType::shared(1, 1));
        Self {
            memory: memory.expect("a shared memory"),
        }
    }

    fn get(&self, index: u32) -> &AtomicU32 {
        word32(&self.memory, u64::from(index) * 128).expect("a word in bounds")
    }
}

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
