//! Models of three orders of events whose sources cannot be compiled over loom's types. One is
//! about wasmtime's epoch counter and deadline. The others are about `host/pool.rs`, which uses the
//! standard library's `Condvar` and threads.
//!
//! They model the protocol of `DESIGN.md` step by step, by hand: change them together with
//! `host/pool.rs` and `thread/interrupt.rs`. `loom_life_protocol.rs` has the sources that can be
//! compiled over loom, and runs those themselves. Each model has a twin with a step left out or
//! swapped, in which loom must find the fault: a model that cannot fail shows nothing.

use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;

/// Whether loom finds a fault in `model`. Loom prints the panic that it found.
fn fails(model: impl Fn() + Sync + Send + 'static) -> bool {
    catch_unwind(AssertUnwindSafe(|| loom::model(model))).is_err()
}

/// Set in the process that runs a twin which deadlocks: loom then aborts the process.
const TWIN: &str = "WASI_THREADS_LOOM_TWIN";

/// Whether the twin that the test `name` runs under [`TWIN`] aborts its process.
fn deadlocks(name: &str) -> bool {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(TWIN, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    !output.status.success() && said.contains("deadlock; threads")
}

/// A thread about to enter wasm, against the end. `fences` as in `Life::is_ended` and
/// `Life::interrupt`; with `deadline_first` as in `interrupt::arm`, which sets the deadline before
/// the flag is looked at.
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

/// A job is given to a parked host thread whose idle time is over at that moment (`timed_out`), and
/// the pool is closed after that. The job runs, and the thread ends. `look_again` is the look at
/// the queue with the lock held after the wait, as in `Hosts::life`.
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
        // Without an idle thread a new one is started, which this model leaves out.
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

/// Two host threads of a group that wait for the others, and a thread of the embedder that waits
/// for all. `mutual` is the fault: they wait for each other.
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
