//! Models of the orders of events that the end of a group rests on, explored by loom.
//!
//! What is modelled is the protocol of `DESIGN.md`, step by step as `life/mod.rs`, `types/end_token.rs` and
//! `host/pool.rs` take it, with wasmtime's part (the epoch counter, the deadline) in its place. Each model has a twin with a
//! step left out or swapped, in which loom must find the fault: a model that cannot fail shows nothing.

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

/// Whether loom finds a fault in `model`. It prints the panic it found, which is as it should be.
fn fails(model: impl Fn() + Sync + Send + 'static) -> bool {
    catch_unwind(AssertUnwindSafe(|| loom::model(model))).is_err()
}

/// Set in the process that runs a twin which deadlocks: loom aborts the process on one.
const TWIN: &str = "WASI_THREADS_LOOM_TWIN";

/// Whether the twin that the test `name` runs under [`TWIN`] ends its process in disgrace.
fn deadlocks(name: &str) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TWIN, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    !output.status.success() && said.contains("deadlock; threads")
}

/// A thread about to enter wasm, against the end. `fences` as in `Life::is_ended` and `Life::interrupt`; with
/// `deadline_first` as in `interrupt::arm`, which sets the deadline before the flag is looked at.
fn starting_against_the_end(fences: bool, deadline_first: bool) {
    let ended = Arc::new(AtomicBool::new(false));
    // Wasmtime's counter: both accesses are relaxed.
    let epoch = Arc::new(AtomicU64::new(0));
    let ender = {
        let (ended, epoch) = (Arc::clone(&ended), Arc::clone(&epoch));
        thread::spawn(move || {
            // The token's flag; only its order against the epoch matters here.
            ended.store(true, Ordering::Relaxed);
            if fences {
                fence(Ordering::SeqCst);
            }
            epoch.fetch_add(1, Ordering::Relaxed);
        })
    };
    let look = || {
        if fences {
            fence(Ordering::SeqCst);
        }
        ended.load(Ordering::Relaxed)
    };
    let (deadline, turned_back) = if deadline_first {
        let deadline = epoch.load(Ordering::Relaxed) + 1;
        (deadline, look())
    } else {
        let turned_back = look();
        (epoch.load(Ordering::Relaxed) + 1, turned_back)
    };
    ender.join().unwrap();
    // Either it never entered wasm, or its next epoch check fires.
    assert!(turned_back || epoch.load(Ordering::Relaxed) >= deadline);
}

#[test]
fn a_starting_thread_does_not_miss_the_end() {
    loom::model(|| starting_against_the_end(true, true));
    assert!(fails(|| starting_against_the_end(false, true)));
    assert!(fails(|| starting_against_the_end(true, false)));
}

/// Two causes at once, and a supervisor: one outcome, told once, and the supervisor goes on only after the
/// telling. `late` sets `reached` before the hooks, which is the fault.
fn first_cause_wins(late: bool) {
    struct Life {
        outcome: Mutex<Option<u32>>,
        changed: Condvar,
        reached: AtomicBool,
        hooks: AtomicU64,
    }
    impl Life {
        fn end(&self, cause: u32, late: bool) -> bool {
            {
                let mut outcome = self.outcome.lock().unwrap();
                if outcome.is_some() {
                    return false;
                }
                *outcome = Some(cause);
            }
            if late {
                self.reached.store(true, Ordering::Release);
            }
            self.hooks.fetch_add(1, Ordering::Relaxed);
            self.reached.store(true, Ordering::Release);
            drop(self.outcome.lock().unwrap());
            self.changed.notify_all();
            true
        }

        fn wait_ended(&self) -> u32 {
            let mut outcome = self.outcome.lock().unwrap();
            loop {
                if let Some(cause) = *outcome
                    && self.reached.load(Ordering::Acquire)
                {
                    return cause;
                }
                outcome = self.changed.wait(outcome).unwrap();
            }
        }
    }
    let life = Arc::new(Life {
        outcome: Mutex::new(None),
        changed: Condvar::new(),
        reached: AtomicBool::new(false),
        hooks: AtomicU64::new(0),
    });
    let enders: Vec<_> = [1, 2]
        .map(|cause| {
            let life = Arc::clone(&life);
            thread::spawn(move || life.end(cause, late))
        })
        .into();
    let seen = life.wait_ended();
    // `run` returns here: no hook may run afterwards.
    assert_eq!(life.hooks.load(Ordering::Relaxed), 1);
    let won: Vec<bool> = enders.into_iter().map(|one| one.join().unwrap()).collect();
    assert_eq!(won, [seen == 1, seen == 2]);
}

#[test]
fn one_cause_wins_and_is_told_before_run_returns() {
    loom::model(|| first_cause_wins(false));
    assert!(fails(|| first_cause_wins(true)));
}

/// The end against a host function that blocks on the token. `locked` as in `EndToken::raise`, which sets the
/// flag with the waiters' lock held.
fn blocking_on_the_token(locked: bool) {
    let ended = Arc::new(AtomicBool::new(false));
    let gate = Arc::new((Mutex::new(()), Condvar::new()));
    let raiser = {
        let (ended, gate) = (Arc::clone(&ended), Arc::clone(&gate));
        thread::spawn(move || {
            let guard = locked.then(|| gate.0.lock().unwrap());
            ended.store(true, Ordering::SeqCst);
            gate.1.notify_all();
            drop(guard);
        })
    };
    let mut guard = gate.0.lock().unwrap();
    while !ended.load(Ordering::Acquire) {
        guard = gate.1.wait(guard).unwrap();
    }
    drop(guard);
    raiser.join().unwrap();
}

#[test]
fn a_blocked_host_function_does_not_miss_the_end() {
    if std::env::var_os(TWIN).is_some() {
        return loom::model(|| blocking_on_the_token(false));
    }
    loom::model(|| blocking_on_the_token(true));
    assert!(deadlocks("a_blocked_host_function_does_not_miss_the_end"));
}

/// A job given to a parked host thread whose idle time is over at that moment (`timed_out`), and the close of
/// the pool after it: the job runs, and the thread ends. `look_again` is the look at the queue with the
/// lock held after the wait, as in `Hosts::life`.
fn dispatch_against_idling(timed_out: bool, look_again: bool) {
    #[derive(Default)]
    struct State {
        jobs: u32,
        idle: u32,
        closing: bool,
    }
    let pool = Arc::new((Mutex::new(State::default()), Condvar::new()));
    let ran = Arc::new(AtomicU64::new(0));
    let host = {
        let (pool, ran) = (Arc::clone(&pool), Arc::clone(&ran));
        thread::spawn(move || {
            let mut state = pool.0.lock().unwrap();
            loop {
                if state.jobs > 0 {
                    state.jobs -= 1;
                    ran.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                if state.closing {
                    break;
                }
                state.idle += 1;
                if timed_out {
                    // The wait gives the lock up and comes back without a wake-up.
                    drop(state);
                    thread::yield_now();
                    state = pool.0.lock().unwrap();
                } else {
                    while state.jobs == 0 && !state.closing {
                        state = pool.1.wait(state).unwrap();
                    }
                }
                state.idle -= 1;
                if state.jobs == 0 || !look_again {
                    break;
                }
            }
        })
    };
    let given = {
        let mut state = pool.0.lock().unwrap();
        // Without an idle thread a new one is started, which is not this model's business.
        let given = state.idle > state.jobs;
        if given {
            state.jobs += 1;
            pool.1.notify_one();
        }
        given
    };
    pool.0.lock().unwrap().closing = true;
    pool.1.notify_all();
    host.join().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), u64::from(given));
}

#[test]
fn a_job_is_not_lost_to_a_thread_that_leaves() {
    loom::model(|| dispatch_against_idling(true, true));
    loom::model(|| dispatch_against_idling(false, true));
    assert!(fails(|| dispatch_against_idling(true, false)));
}

/// How an end treats a group whose stuck threads are taking their backtraces.
#[derive(Clone, Copy, PartialEq)]
enum AskedEnd {
    /// As `Life::end`: it does the telling instead of the last answer.
    Takes,
    /// There is an outcome, so there is nothing to do.
    Returns,
    /// It tells, and leaves the last answer to tell as well.
    Tells,
}

/// A stuck group, whose last backtrace comes or does not (somebody outside has woken the thread), against an end from
/// elsewhere: the threads are told, and once.
fn asked_against_the_end(answers: bool, end: AskedEnd) {
    struct Life {
        unreported: Mutex<Option<usize>>,
        told: AtomicU64,
    }
    let life = Arc::new(Life {
        unreported: Mutex::new(Some(1)),
        told: AtomicU64::new(0),
    });
    let thread = {
        let life = Arc::clone(&life);
        thread::spawn(move || {
            if !answers {
                return;
            }
            let last = {
                let mut unreported = life.unreported.lock().unwrap();
                let Some(left) = &mut *unreported else {
                    return;
                };
                *left -= 1;
                let last = *left == 0;
                if last {
                    *unreported = None;
                }
                last
            };
            if last {
                life.told.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let tells = {
        let mut unreported = life.unreported.lock().unwrap();
        match end {
            AskedEnd::Takes => unreported.take().is_some(),
            AskedEnd::Returns => false,
            AskedEnd::Tells => unreported.is_some(),
        }
    };
    if tells {
        life.told.fetch_add(1, Ordering::Relaxed);
    }
    thread.join().unwrap();
    assert_eq!(life.told.load(Ordering::Relaxed), 1);
}

#[test]
fn a_stuck_group_is_told_once_by_whoever_comes() {
    loom::model(|| asked_against_the_end(true, AskedEnd::Takes));
    loom::model(|| asked_against_the_end(false, AskedEnd::Takes));
    assert!(fails(|| asked_against_the_end(false, AskedEnd::Returns)));
    assert!(fails(|| asked_against_the_end(true, AskedEnd::Tells)));
}

/// Two host threads of a group that wait for the others, and the embedder, who waits for all. `mutual` is the fault: they
/// wait for each other.
fn joining_from_inside(mutual: bool) {
    #[derive(Default)]
    struct State {
        live: Vec<u64>,
        waiting: Vec<u64>,
    }
    let hosts = Arc::new((
        Mutex::new(State {
            live: vec![1, 2],
            waiting: Vec::new(),
        }),
        Condvar::new(),
    ));
    let threads: Vec<_> = [1, 2]
        .map(|me| {
            let hosts = Arc::clone(&hosts);
            thread::spawn(move || {
                // `finish`, in a host function.
                hosts.0.lock().unwrap().waiting.push(me);
                hosts.1.notify_all();
                let mut state = hosts.0.lock().unwrap();
                while state
                    .live
                    .iter()
                    .any(|key| *key != me && (mutual || !state.waiting.contains(key)))
                {
                    state = hosts.1.wait(state).unwrap();
                }
                drop(state);
                hosts.0.lock().unwrap().waiting.retain(|key| *key != me);
                // Its last act.
                hosts.0.lock().unwrap().live.retain(|key| *key != me);
                hosts.1.notify_all();
            })
        })
        .into();
    let mut state = hosts.0.lock().unwrap();
    while !state.live.is_empty() {
        state = hosts.1.wait(state).unwrap();
    }
    drop(state);
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn threads_that_wait_for_the_others_do_not_wait_for_each_other() {
    if std::env::var_os(TWIN).is_some() {
        return loom::model(|| joining_from_inside(true));
    }
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| joining_from_inside(false));
    assert!(deadlocks(
        "threads_that_wait_for_the_others_do_not_wait_for_each_other"
    ));
}
