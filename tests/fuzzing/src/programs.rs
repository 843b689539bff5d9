//! Whole programs of threads: what ends them, what is left of them, and whether the next one works.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use replay_threads::policy::Kind;
use wasi_threads::{Outcome, Pool, ThreadId};
use wasmtime::Trap;

use crate::input::Input;
use crate::plant::planted;
use crate::programs_guest::{BLOCKS, KINDS, STEPS, note};
use crate::programs_ways::Way;
use crate::programs_world::{Asked, Came, PANIC, Said, once};

/// How long a program may take in all, in pieces of [`TICK`] that were not spent stopped.
const TICKS: u32 = 600;
const TICK: Duration = Duration::from_millis(100);

fn way(choice: u8, seed: u8) -> Way {
    let seed = u64::from(seed);
    match choice % 8 {
        0 => Way::Plain,
        1 => Way::Observed,
        2 => Way::Fuel(500 << (seed % 16)),
        3 => Way::Budget((4 + seed % 60) << 20),
        4 => Way::Reactor,
        5 => Way::Reported,
        6 => Way::Async,
        _ => Way::Turns(
            [Kind::Random, Kind::Pct(2), Kind::Pos, Kind::RoundRobin(9)][usize::from(choice >> 3)],
            seed,
        ),
    }
}

/// The first byte has the search for deadlocks, the pool, and the way; the second the time limit,
/// and what the way needs.
fn asked(input: &mut Input<'_>) -> Asked {
    let flags = input.u8();
    let number = input.u8();
    // A few may take longer, beside a load as well.
    let longer = if number >= 0xe0 { 50 } else { 1 };
    let timeout = Duration::from_millis(longer * (10 + u64::from(number % 32)));
    let threads = u32::from(input.u8() % 9);
    let pool = match flags >> 1 & 3 {
        0 => Pool::new(),
        1 => Pool::new().idle(0),
        2 => Pool::new().prewarmed(0),
        _ => Pool::new().idle(2).idle_time(Duration::from_millis(1)),
    };
    let mut plans = input.rest().to_vec();
    plans.truncate(BLOCKS * STEPS * 8);
    for step in plans.chunks_mut(8) {
        step[0] %= KINDS + 1;
    }
    Asked {
        way: way(flags >> 3, number),
        deadlocks: flags & 1 != 0,
        timeout,
        threads,
        pool,
        plans,
    }
}

pub(crate) fn run(data: &[u8]) {
    prepare_process();
    let watched = Watched::new();
    let before = held();
    let asked = asked(&mut Input::new(data));
    let came = program(&asked);
    if let Way::Turns(..) = asked.way {
        check_same(&came, &program(&asked));
    }
    assert_eq!(nothing_left(before, &came), None, "something is left");
    // Whatever that was, the next program works.
    let known = program(&Asked {
        way: Way::Plain,
        deadlocks: true,
        timeout: Duration::from_secs(3600),
        threads: 2,
        pool: Pool::new(),
        plans: known(),
    });
    assert!(
        matches!(known.outcome, Outcome::Exited(7)),
        "the next program did something else"
    );
    drop(watched);
}

/// The same seed is the same run, unless the clock or the host has ended one of the two.
fn check_same(one: &Came, other: &Came) {
    let ended =
        |came: &Came| matches!(came.outcome, Outcome::TimedOut | Outcome::ScheduleFailed(_));
    if ended(one) || ended(other) {
        return;
    }
    let shown = |came: &Came| format!("{:?}", came.outcome);
    assert_eq!(shown(one), shown(other), "the same seed, another outcome");
    assert_eq!(one.trace, other.trace, "the same seed, another trace");
    assert_eq!(one.memory, other.memory, "the same seed, another memory");
    assert_eq!(one.said, other.said, "the same seed, other words");
}

/// A thread starts another, which adds to a word; waits for it, and exits with 7.
fn known() -> Vec<u8> {
    let mut plans = vec![0; 2 * STEPS * 8];
    let steps = [
        (0, [1, 1, 0, 0]),
        (1, [2, 0, 0, 255]),
        (2, [10, 7, 0, 0]),
        (STEPS, [4, 0, 1, 0]),
        (STEPS + 1, [3, 0, 255, 0]),
    ];
    for (at, step) in steps {
        plans[8 * at..8 * at + 4].copy_from_slice(&step);
    }
    plans
}

fn program(asked: &Asked) -> Came {
    let mut came = once(asked);
    came.outcome = plant(came.outcome, &came.said);
    check(&came, asked);
    came
}

fn plant(outcome: Outcome, said: &Said) -> Outcome {
    let Outcome::Exited(code) = outcome else {
        return outcome;
    };
    let mains = said.contains(&(note::EXITS, code, ThreadId::MAIN));
    match planted("lost-exit") && !mains {
        true => Outcome::Returned,
        false => outcome,
    }
}

/// Whether a thread has said that it would do what ended the group.
fn check(came: &Came, asked: &Asked) {
    let Came {
        outcome,
        said: all,
        took,
        ..
    } = came;
    let said = |kind: i32| all.iter().any(|(of, ..)| *of == kind);
    let by = |kind: i32, id: ThreadId| all.contains(&(kind, 0, id));
    let legal = match outcome {
        Outcome::Returned => by(note::RETURNS, ThreadId::MAIN),
        Outcome::Exited(code) => {
            let exits =
                |(kind, value, _): &(i32, i32, ThreadId)| *kind == note::EXITS && value == code;
            all.iter().any(exits)
        }
        Outcome::Trapped { thread, trap, .. } => match trap {
            Some(Trap::UnreachableCodeReached) => by(note::TRAPS, *thread),
            Some(Trap::StackOverflow) => by(note::OVERFLOWS, *thread),
            Some(Trap::OutOfFuel) => matches!(asked.way, Way::Fuel(_)),
            Some(_) => false,
            None => by(note::FAILS, *thread),
        },
        Outcome::Panicked { thread, message } => by(note::PANICS, *thread) && message == PANIC,
        Outcome::TimedOut => *took >= asked.timeout,
        Outcome::Cancelled => said(note::CANCELS) || matches!(asked.way, Way::Reactor),
        Outcome::Deadlocked(_) => {
            let looked_for = asked.deadlocks || matches!(asked.way, Way::Turns(..));
            looked_for && said(note::WAITS)
        }
        Outcome::ScheduleFailed(_) => matches!(asked.way, Way::Turns(..)),
        _ => false,
    };
    assert!(
        legal,
        "{outcome:?} after {took:?} ({:?}), and said was {all:?}",
        asked.way
    );
}

/// Host threads of groups, and descriptors, of this process.
fn held() -> (usize, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let named = tasks.flatten().filter(|task| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        // Parked, or named after the guest thread that it runs.
        name.is_ok_and(|name| name.starts_with("wasi-") && name.trim_end() != "wasi-reaper")
    });
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("descriptors");
    (named.count(), descriptors.count())
}

/// What is left, if that does not go within a while.
fn nothing_left(before: (usize, usize), came: &Came) -> Option<(usize, usize)> {
    let waits = |(kind, ..): &&(i32, i32, ThreadId)| *kind == note::WAITS;
    let waiting = came.said.iter().filter(waits).count();
    let exited = matches!(came.outcome, Outcome::Exited(_));
    if planted("thread-left") && exited && waiting >= 2 {
        return Some((before.0 + 1, before.1));
    }
    for _ in 0..2000 {
        // A thread that was joined may be listed for a moment longer.
        let now = held();
        if now.0 <= before.0 && now.1 <= before.1 {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(held()).filter(|now| now.0 > before.0 || now.1 > before.1)
}

/// What a process does once. The panic that is asked for is caught: it is neither shown, nor the
/// end of a fuzzer that ends at panics.
fn prepare_process() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Tokio's runtime, which wasmtime-wasi has for the whole process, has descriptors.
        wasmtime_wasi::runtime::in_tokio(async {});
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(PANIC) {
                others(info);
            }
        }));
    });
}

/// Ends the process, by its name, if a program does not come to its end.
struct Watched;

static LEFT: AtomicU32 = AtomicU32::new(u32::MAX);

impl Watched {
    fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(TICK);
                    let less = |left: u32| (left != u32::MAX).then(|| left.saturating_sub(1));
                    let left = LEFT.try_update(Ordering::Relaxed, Ordering::Relaxed, less);
                    if left == Ok(1) {
                        eprintln!("programs: not ended after {:?}", TICK * TICKS);
                        std::process::abort();
                    }
                }
            });
        });
        LEFT.store(TICKS, Ordering::Relaxed);
        Watched
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        LEFT.store(u32::MAX, Ordering::Relaxed);
    }
}
