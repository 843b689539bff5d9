//! Groups whose threads run one at a time, as a policy decides.

#[path = "../support/mod.rs"]
mod support;

mod accesses;
mod decisions;
mod handle;
mod verdicts;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use support::{Log, builder, engine, guest, watchdog};
use wasi_threads::rewrite::{Points, RewriteOptions};
use wasi_threads::schedule::{Policy, Schedule, ScheduleTrace, Scheduled, Stop, Turn};
use wasi_threads::{Outcome, ThreadModule, prepare_with};
use wasmtime::Engine;

/// SplitMix64.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

/// Any thread that can run, for up to `budget` points; a deadline comes early once in `early`
/// times.
struct Walk {
    random: Random,
    budget: u64,
    early: u64,
}

impl Policy for Walk {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let early = !stop.sleeping.is_empty()
            && (stop.runnable.is_empty() || self.early > 0 && self.random.below(self.early) == 0);
        let thread = match early {
            true => stop.sleeping[0].thread,
            false => stop.runnable[self.random.below(stop.runnable.len() as u64) as usize],
        };
        Turn {
            thread,
            budget: self.random.below(self.budget + 1),
        }
    }
}

fn walk(seed: u64, budget: u64) -> Walk {
    Walk {
        random: Random(seed),
        budget,
        early: 0,
    }
}

fn pointed(engine: &Engine, bytes: &[u8], points: Points) -> ThreadModule {
    let mut options = RewriteOptions::default();
    options.points = Some(points);
    prepare_with(engine, bytes, &options).unwrap()
}

/// What one run showed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Ran {
    outcome: String,
    logged: Vec<i32>,
    trace: ScheduleTraceKey,
    memory: u64,
}

/// Hash, points, decisions and time.
type ScheduleTraceKey = (u64, u64, u64, u64);

fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Trapped { thread, trap, .. } => format!("{thread} trapped: {trap:?}"),
        Outcome::Deadlocked(deadlock) => {
            let threads = deadlock.threads.iter();
            let threads: Vec<_> = threads.map(|one| (one.thread.get(), one.address)).collect();
            format!("deadlocked: {threads:?}")
        }
        other => format!("{other:?}"),
    }
}

/// Runs a module once under `scheduled`.
fn run(engine: &Engine, module: &ThreadModule, scheduled: Scheduled) -> (Ran, ScheduleTrace) {
    let log = Arc::<Log>::default();
    let group = builder(engine, module, &log)
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    let trace = group.schedule_trace().unwrap();
    let ran = Ran {
        outcome: shown(&outcome),
        logged: log.values.lock().unwrap().clone(),
        trace: (trace.hash, trace.points, trace.decisions, trace.now),
        memory: group.memory_hash(),
    };
    (ran, trace)
}

/// Threads that take a lock to add to a word, wait for one another, and say so.
const LOCKS: &str = r#"
    (func $lock (param $at i32)
      (loop $again
        (if (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (i32.const 1))
          (then
            (drop (memory.atomic.wait32 (local.get $at) (i32.const 1) (i64.const -1)))
            (br $again)))))
    (func $unlock (param $at i32)
      (i32.atomic.store (local.get $at) (i32.const 0))
      (drop (memory.atomic.notify (local.get $at) (i32.const 1))))
    (func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
      (local $left i32)
      (local.set $left (i32.const 5))
      (loop $again
        (call $lock (i32.const 0))
        (i32.store (i32.const 4) (i32.add (i32.load (i32.const 4)) (local.get $arg)))
        (call $log (local.get $tid))
        (call $unlock (i32.const 0))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $signal (i32.const 8)))
    (func (export "_start")
      (drop (call $spawn (i32.const 1)))
      (drop (call $spawn (i32.const 10)))
      (drop (call $spawn (i32.const 100)))
      (call $await (i32.const 8) (i32.const 3))
      (call $log (i32.load (i32.const 4))))
"#;

#[test]
fn a_seed_is_a_run() {
    let _watchdog = watchdog("a_seed_is_a_run", 600);
    let engine = engine();
    let module = pointed(&engine, &guest(LOCKS), Points::Atomics);
    let mut runs = BTreeSet::new();
    for seed in 0..20 {
        let (first, trace) = run(&engine, &module, Scheduled::new(walk(seed, 3)));
        assert_eq!(first.outcome, "Returned");
        assert_eq!(first.logged.last(), Some(&555));
        assert_eq!((first.logged.len(), trace.threads), (16, 4));
        assert!(trace.switches > 0 && trace.decisions > trace.switches);
        assert!(trace.points >= trace.decisions - 1);
        runs.insert(first);
    }
    assert!(runs.len() > 15, "{}", runs.len());
}

#[test]
fn a_run_is_the_same_beside_a_load() {
    let _watchdog = watchdog("a_run_is_the_same_beside_a_load", 600);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let over = SetOnDrop(&over);
        let engine = engine();
        let module = pointed(&engine, &guest(LOCKS), Points::Accesses);
        let once = || run(&engine, &module, Scheduled::new(walk(7, 60))).0;
        let first = once();
        for round in 0..200 {
            assert_eq!(once(), first, "{round}");
        }
        drop(over);
    });
}

/// Ends the load also where the test fails.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
