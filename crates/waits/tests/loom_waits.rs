//! Models of the parking lot: every interleaving within loom's bound.
//!
//! The sources under `src` are compiled here a second time, over loom's
//! types. Without `LOOM_MAX_PREEMPTIONS` in the environment, each model runs
//! with two preemptions, which is quick enough for every test run;
//! `scripts/threads-loom.sh` raises it.
//!
//! Words have made-up addresses, because real ones differ from run to run. Lots have one bucket, so
//! that all addresses share its lock and queue.
//!
//! The target has no test harness: that leaves out the sources' own unit tests, which are about
//! std's types. Arguments name the models to run.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    missing_docs,
    clippy::print_stdout,
    reason = "the same sources as in the library, of which the models use a part"
)]

#[path = "loom/deadlocks.rs"]
mod deadlocks;
#[path = "../src/host_writer.rs"]
mod host_writer;
#[path = "../src/liveness.rs"]
mod liveness;
#[path = "../src/lot.rs"]
mod lot;
#[path = "../src/node.rs"]
mod node;
#[path = "../src/outcome.rs"]
mod outcome;
#[path = "../src/parked.rs"]
mod parked;
#[path = "../src/queue.rs"]
mod queue;
#[path = "../src/spinning.rs"]
mod spinning;
#[path = "../src/stats.rs"]
mod stats;
#[path = "loom/sync.rs"]
mod sync;
#[path = "loom/sys.rs"]
mod sys;
#[path = "../src/waiter.rs"]
mod waiter;
#[path = "../src/word.rs"]
mod word;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread;
use lot::ParkingLot;
use outcome::WaitOutcome;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use waiter::{Role, Waiter};
use word::{Awaited, Width};

const X: u64 = 4;
const Y: u64 = 8;

const MODELS: &[(&str, fn())] = &[
    ("wait_against_notify", wait_against_notify),
    ("two_waiters_one_notify_each", two_waiters_one_notify_each),
    (
        "a_notify_without_the_lock_misses_nobody",
        a_notify_without_the_lock_misses_nobody,
    ),
    (
        "the_count_of_waiters_is_exact",
        the_count_of_waiters_is_exact,
    ),
    ("the_oldest_first", the_oldest_first),
    (
        "wait_against_notify_against_end",
        wait_against_notify_against_end,
    ),
    ("timeout_against_notify", timeout_against_notify),
    (
        "a_timeout_takes_no_wakeup_along",
        a_timeout_takes_no_wakeup_along,
    ),
    ("timeout_against_end", timeout_against_end),
    ("report_against_notify", report_against_notify),
    ("a_request_outlives_a_wait", a_request_outlives_a_wait),
    (
        "a_sleeper_reports_and_sleeps_on",
        a_sleeper_reports_and_sleeps_on,
    ),
    (
        "a_handover_is_no_deadlock",
        deadlocks::a_handover_is_no_deadlock,
    ),
    (
        "a_starting_thread_is_live",
        deadlocks::a_starting_thread_is_live,
    ),
    ("a_timed_wait_is_live", deadlocks::a_timed_wait_is_live),
    ("a_host_writer_is_live", deadlocks::a_host_writer_is_live),
    ("a_deadlock_is_found", deadlocks::a_deadlock_is_found),
    (
        "leaving_others_behind_is_found",
        deadlocks::leaving_others_behind_is_found,
    ),
];

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    for (name, run) in MODELS {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part)) {
            let start = std::time::Instant::now();
            RUNS.store(0, Relaxed);
            run();
            let runs = RUNS.load(Relaxed);
            println!("{name}: {runs} interleavings, {:.1?}", start.elapsed());
        }
    }
}

static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn model(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(2);
    }
    builder.check(move || {
        RUNS.fetch_add(1, Relaxed);
        body();
    });
}

fn lot(detect: bool) -> Arc<ParkingLot> {
    ParkingLot::with_buckets(1, detect)
}

fn awaited(address: u64, expected: u32) -> Awaited {
    Awaited {
        address,
        width: Width::W32,
        expected: expected.into(),
    }
}

/// Waits at `address` for `word` to leave `expected`.
fn wait(waiter: &Waiter, address: u64, word: &AtomicU32, expected: u32, ns: i64) -> WaitOutcome {
    waiter.wait_at(awaited(address, expected), ns, &mut || (), || {
        word.load(Ordering::SeqCst).into()
    })
}

/// A store and a notify lose no waiter, and count exactly those they wake.
fn wait_against_notify() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let thread = thread::spawn({
            let (waiter, word) = (waiter.clone(), word.clone());
            move || wait(&waiter, X, &word, 0, -1)
        });
        word.store(1, Ordering::SeqCst);
        let woken = lot.notify_at(X, 1);
        match thread.join().unwrap() {
            WaitOutcome::Woken => assert_eq!(woken, 1),
            WaitOutcome::NotEqual => assert_eq!(woken, 0),
            other => panic!("{other:?}"),
        }
    });
}

/// Two waiters, woken one by one: one wake-up each, and what the waker wrote
/// before is there for the woken.
fn two_waiters_one_notify_each() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (1..=2)
            .map(|id| {
                let waiter = lot.register(id, Role::Guest);
                let word = word.clone();
                thread::spawn(move || {
                    let outcome = wait(&waiter, X, &word, 0, -1);
                    assert_eq!(word.load(Relaxed), 1);
                    outcome
                })
            })
            .collect();
        word.store(1, Relaxed);
        let woken = lot.notify_at(X, 1) + lot.notify_at(X, 1);
        let outcomes = threads.into_iter().map(|thread| thread.join().unwrap());
        let counted = outcomes.filter(|o| *o == WaitOutcome::Woken).count();
        assert_eq!(counted, woken as usize);
    });
}

/// A notify that sees no waiter takes no lock. It comes before the wait, which then sees the store,
/// even if the store itself orders nothing.
fn a_notify_without_the_lock_misses_nobody() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let thread = thread::spawn({
            let word = word.clone();
            move || waiter.wait_at(awaited(X, 0), -1, &mut || (), || word.load(Relaxed).into())
        });
        word.store(1, Relaxed);
        // A thread that is missed sleeps for ever, which loom finds.
        let woken = lot.notify_at(X, 1);
        let outcome = thread.join().unwrap();
        assert_eq!(outcome == WaitOutcome::Woken, woken == 1);
        // What was counted for the lock-free look is all gone again.
        assert_eq!(lot.notify_at(X, 1), 0);
        assert!(lot.nobody_expected(X));
    });
}

/// Two waiters come and go, one of them by its timeout. They leave no count behind that would hide
/// a third.
fn the_count_of_waiters_is_exact() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = [-1, 1]
            .into_iter()
            .zip(1..)
            .map(|(ns, id)| {
                let waiter = lot.register(id, Role::Guest);
                let word = word.clone();
                thread::spawn(move || wait(&waiter, X, &word, 0, ns))
            })
            .collect();
        word.store(1, Relaxed);
        lot.notify_at(X, 2);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(lot.nobody_expected(X));
    });
}

/// The first to wait is the first to be woken.
fn the_oldest_first() {
    model(|| {
        let lot = lot(false);
        let never = Arc::new(AtomicU32::new(0));
        let order = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (1..=2)
            .map(|id| {
                let waiter = lot.register(id, Role::Guest);
                let (never, order) = (never.clone(), order.clone());
                thread::spawn(move || {
                    let looks = std::cell::Cell::new(0);
                    let mine = std::cell::Cell::new(u32::MAX);
                    let outcome = waiter.wait_at(awaited(X, 0), -1, &mut || (), || {
                        looks.set(looks.get() + 1);
                        // The second time is under the bucket's lock: the place in the queue.
                        if looks.get() == 2 {
                            mine.set(order.fetch_add(1, Relaxed));
                        }
                        never.load(Relaxed).into()
                    });
                    (mine.get(), outcome)
                })
            })
            .collect();
        let first = lot.notify_at(X, 1);
        lot.end();
        let mut outcomes: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        outcomes.sort_by_key(|(place, _)| *place);
        let woken: Vec<_> = outcomes
            .iter()
            .map(|(_, outcome)| *outcome == WaitOutcome::Woken)
            .collect();
        assert_eq!(woken, [first == 1, false]);
    });
}

/// No thread sleeps through the end, and a thread counted by a notify is told of nothing else.
fn wait_against_notify_against_end() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let thread = thread::spawn({
            let (waiter, word) = (waiter.clone(), word.clone());
            move || wait(&waiter, X, &word, 0, -1)
        });
        let ender = thread::spawn({
            let lot = lot.clone();
            move || lot.end()
        });
        let woken = lot.notify_at(X, 1);
        let outcome = thread.join().unwrap();
        let ended = ender.join().unwrap();
        assert_eq!(outcome == WaitOutcome::Woken, woken == 1);
        assert!(woken + ended <= 1);
        assert!(matches!(outcome, WaitOutcome::Woken | WaitOutcome::Ended));
        assert_eq!(wait(&waiter, X, &word, 0, -1), WaitOutcome::Ended);
    });
}

/// A notify that counted a waiter is not lost to its timeout, and the node is
/// fit for the next wait.
fn timeout_against_notify() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let waiter = lot.register(1, Role::Guest);
        let thread = thread::spawn({
            let word = word.clone();
            move || {
                let first = wait(&waiter, X, &word, 0, 1);
                let second = wait(&waiter, Y, &word, 0, 1);
                (first, second)
            }
        });
        let at_x = lot.notify_at(X, 1);
        let at_y = lot.notify_at(Y, 1);
        let (first, second) = thread.join().unwrap();
        let expected = |woken| match woken {
            0 => WaitOutcome::TimedOut,
            _ => WaitOutcome::Woken,
        };
        assert_eq!((first, second), (expected(at_x), expected(at_y)));
    });
}

/// A notify of one goes to another waiter when the oldest has timed out.
fn a_timeout_takes_no_wakeup_along() {
    model(|| {
        let lot = lot(false);
        let word = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = [1, -1]
            .into_iter()
            .map(|ns| {
                let waiter = lot.register(1, Role::Guest);
                let word = word.clone();
                thread::spawn(move || wait(&waiter, X, &word, 0, ns))
            })
            .collect();
        word.store(1, Ordering::SeqCst);
        let woken = lot.notify_at(X, 1);
        // Those that are left: without this, the untimed one may stay for good.
        let rest = lot.notify_at(X, u32::MAX);
        let outcomes: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
        let counted = outcomes
            .iter()
            .filter(|o| **o == WaitOutcome::Woken)
            .count();
        assert_eq!(counted, (woken + rest) as usize);
    });
}

fn timeout_against_end() {
    model(|| {
        let lot = lot(true);
        let word = Arc::new(AtomicU32::new(0));
        let waiter = lot.register(1, Role::Guest);
        let thread = thread::spawn(move || wait(&waiter, X, &word, 0, 1));
        let ended = lot.end();
        match thread.join().unwrap() {
            WaitOutcome::Ended => (),
            WaitOutcome::TimedOut => assert_eq!(ended, 0),
            other => panic!("{other:?}"),
        }
    });
}

/// A report is made once, and the wake-up that comes with it is not lost.
fn report_against_notify() {
    model(|| {
        let lot = lot(false);
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let word = Arc::new(AtomicU32::new(0));
        let thread = thread::spawn({
            let (waiter, word) = (waiter.clone(), word.clone());
            move || {
                let mut reports = 0;
                let outcome = waiter.wait_at(awaited(X, 0), -1, &mut || reports += 1, || {
                    word.load(Ordering::SeqCst).into()
                });
                (outcome, reports + u32::from(waiter.take_report()))
            }
        });
        let asker = thread::spawn({
            let waiter = waiter.clone();
            move || waiter.request_report()
        });
        word.store(1, Ordering::SeqCst);
        let woken = lot.notify_at(X, 1);
        let (outcome, mut reports) = thread.join().unwrap();
        asker.join().unwrap();
        assert_eq!(outcome == WaitOutcome::Woken, woken == 1);
        reports += u32::from(waiter.take_report());
        assert_eq!(reports, 1);
    });
}

/// A request that finds its thread between two waits is met by the second wait, although that one
/// clears what the first left in the word.
fn a_request_outlives_a_wait() {
    model(|| {
        let lot = lot(false);
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let asker = thread::spawn({
            let waiter = waiter.clone();
            move || waiter.request_report()
        });
        let mut reports = 0;
        for _ in 0..2 {
            let outcome = waiter.wait_at(awaited(X, 0), 1, &mut || reports += 1, || 0);
            assert_eq!(outcome, WaitOutcome::TimedOut);
        }
        asker.join().unwrap();
        assert_eq!(reports + u32::from(waiter.take_report()), 1);
    });
}

/// A sleeping thread wakes to report, keeps its place, and can be woken after.
fn a_sleeper_reports_and_sleeps_on() {
    model(|| {
        let lot = lot(false);
        let waiter = Arc::new(lot.register(1, Role::Guest));
        let reported = Arc::new(AtomicBool::new(false));
        let this = thread::current();
        let thread = thread::spawn({
            let (waiter, reported) = (waiter.clone(), reported.clone());
            move || {
                let mut on_report = || {
                    reported.store(true, Ordering::SeqCst);
                    this.unpark();
                };
                waiter.wait_at(awaited(X, 0), -1, &mut on_report, || 0)
            }
        });
        waiter.request_report();
        // No notify comes before: a report that is not made is a deadlock.
        while !reported.load(Ordering::SeqCst) {
            thread::park();
        }
        assert_eq!(lot.notify_at(X, 1), 1);
        assert_eq!(thread.join().unwrap(), WaitOutcome::Woken);
    });
}
