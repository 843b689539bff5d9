//! Models of how a group's outcome is claimed, of spawns against it, of what the end wakes, and of
//! the turn of a schedule.
//!
//! The sources `claim.rs` and `places.rs` under `src/life`, `handover.rs` under `src/schedule`,
//! `bell.rs` and `handoff.rs` under `src/sys` are compiled here a second time, over loom's types.
//! Each of them names its mutants, in which a step is left out or two are swapped; they are nothing
//! outside of this test, which starts itself once for each, and in each of which loom must find a
//! fault.
//!
//! Without `LOOM_MAX_PREEMPTIONS` in the environment, each model runs with three preemptions.
//! Arguments name the models to run.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    missing_docs,
    clippy::print_stdout,
    reason = "the same sources as in the library, of which the models use a part"
)]

#[path = "../src/life/claim.rs"]
mod claim;
#[path = "../src/schedule/handover.rs"]
mod handover;
#[path = "../src/life/places.rs"]
mod places;
#[path = "loom/sys.rs"]
mod sys;

use claim::{Claim, Claimed};
use handover::{Roused, Seats};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use loom::thread;
use places::{Most, Places, Refused};
use std::process::Command;
use std::sync::OnceLock;
use sys::bell::Bell;
use sys::handoff::Handoff;

/// A model, and the mutants in which it must fail.
struct Model {
    name: &'static str,
    run: fn(),
    mutants: &'static [&'static str],
}

const MODELS: &[Model] = &[
    Model {
        name: "end_against_end",
        run: end_against_end,
        mutants: &["a claim in two steps"],
    },
    Model {
        name: "start_against_end",
        run: start_against_end,
        mutants: &["a step that looks first"],
    },
    Model {
        name: "spawn_against_end",
        run: spawn_against_end,
        mutants: &["a step that looks first"],
    },
    Model {
        name: "a_spawn_at_the_limit_against_the_end",
        run: a_spawn_at_the_limit_against_the_end,
        mutants: &["a spawn that listens too late", "a ring that looks first"],
    },
    Model {
        name: "a_spawn_at_the_limit_against_a_thread_that_leaves",
        run: a_spawn_at_the_limit_against_a_thread_that_leaves,
        mutants: &["a ring that looks first"],
    },
    Model {
        name: "two_spawns_at_the_limit",
        run: two_spawns_at_the_limit,
        mutants: &["a leaver that rings for a lone waiter"],
    },
    Model {
        name: "the_supervisor_hears_the_claim",
        run: the_supervisor_hears_the_claim,
        mutants: &["a ring that looks first"],
    },
    Model {
        name: "a_deadlock_against_a_spawn",
        run: a_deadlock_against_a_spawn,
        mutants: &["a deadlock without a second look"],
    },
    Model {
        name: "answers_against_end",
        run: answers_against_end,
        mutants: &["a claim in two steps"],
    },
    Model {
        name: "what_the_end_wakes",
        run: what_the_end_wakes,
        mutants: &["a holder that does not look back"],
    },
    Model {
        name: "a_host_call_against_the_end",
        run: a_host_call_against_the_end,
        mutants: &["an end without a barrier", "words before the flag"],
    },
    Model {
        name: "a_turn_for_a_thread_that_is_late",
        run: a_turn_for_a_thread_that_is_late,
        mutants: &["a taker that starts afresh", "a turn that wakes first"],
    },
    Model {
        name: "one_thread_runs_at_a_time",
        run: one_thread_runs_at_a_time,
        mutants: &["a turn without order", "a turn that wakes first"],
    },
    Model {
        name: "a_new_seat_against_the_end",
        run: a_new_seat_against_the_end,
        mutants: &["a seat that looks first"],
    },
    Model {
        name: "a_turn_beside_a_question",
        run: a_turn_beside_a_question,
        mutants: &["a question that wipes the turn", "a turn that wakes first"],
    },
];

/// Set in the process that runs a mutant: its name.
const MUTANT: &str = "WASI_THREADS_LOOM_MUTANT";

fn is_mutant(name: &str) -> bool {
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    let wanted = NAME.get_or_init(|| std::env::var(MUTANT).ok());
    wanted.as_deref() == Some(name)
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let alone = std::env::var_os(MUTANT).is_some();
    for model in MODELS {
        let named = |part: &String| match alone {
            true => model.name == part,
            false => model.name.contains(part.as_str()),
        };
        if !wanted.is_empty() && !wanted.iter().any(named) {
            continue;
        }
        let start = std::time::Instant::now();
        RUNS.store(0, Ordering::Relaxed);
        (model.run)();
        let runs = RUNS.load(Ordering::Relaxed);
        println!(
            "{}: {runs} interleavings, {:.1?}",
            model.name,
            start.elapsed()
        );
        if alone {
            continue;
        }
        for mutant in model.mutants {
            let output = Command::new(std::env::current_exe().expect("there is one"))
                .arg(model.name)
                .env(MUTANT, mutant)
                .output()
                .expect("it starts again");
            assert!(
                !output.status.success(),
                "{}: loom finds no fault in {mutant}",
                model.name
            );
            println!("{}: loom finds the fault in {mutant}", model.name);
        }
    }
}

static RUNS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

fn model(body: impl Fn() + Send + Sync + 'static) {
    bounded(3, body);
}

fn bounded(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    if builder.preemption_bound.is_none() {
        builder.preemption_bound = Some(preemptions);
    }
    builder.check(move || {
        RUNS.fetch_add(1, Ordering::Relaxed);
        body();
    });
}

/// Of two causes one is the outcome.
fn end_against_end() {
    model(|| {
        let claim = Arc::new(Claim::new());
        let other = thread::spawn({
            let claim = Arc::clone(&claim);
            move || claim.claim()
        });
        let mine = claim.claim();
        let others = other.join().unwrap();
        let firsts = [mine, others];
        let firsts = firsts
            .iter()
            .filter(|one| !matches!(one, Claimed::Late { .. }));
        assert_eq!(firsts.count(), 1);
        assert!(claim.is_claimed());
    });
}

/// No thread starts after the claim: those that do are the ones that the claim counted.
fn start_against_end() {
    model(|| {
        let claim = Arc::new(Claim::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let claim = Arc::clone(&claim);
                thread::spawn(move || u64::from(claim.step()))
            })
            .collect();
        let Claimed::First { steps } = claim.claim() else {
            panic!("nobody else claims")
        };
        let started: u64 = threads.into_iter().map(|one| one.join().unwrap()).sum();
        assert_eq!(started, steps);
        assert!(!claim.step());
    });
}

/// A thread is registered, and then starts: whichever of the two the claim precedes is refused, and
/// the place comes back.
fn spawn_against_end() {
    model(|| {
        let group = Arc::new((Claim::new(), Places::default()));
        let spawner = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                let (claim, places) = &*group;
                match places.take(claim, Most::default(), || None) {
                    Ok(()) => {
                        let started = claim.step();
                        places.give_back(started);
                        1 + u64::from(started)
                    }
                    Err(refused) => {
                        assert_eq!(refused, Refused::Ended);
                        0
                    }
                }
            }
        });
        let (claim, places) = &*group;
        let Claimed::First { steps } = claim.claim() else {
            panic!("nobody else claims")
        };
        places.free.ring();
        assert_eq!(spawner.join().unwrap(), steps);
    });
}

/// A spawn that waits at the limit is told of the end: were it not, it would sleep for ever, which
/// loom finds.
fn a_spawn_at_the_limit_against_the_end() {
    model(|| {
        let group = Arc::new((Claim::new(), Places::default()));
        let most = Most {
            alive: Some(1),
            ever: None,
        };
        group.1.take(&group.0, most, || None).unwrap();
        let spawner = thread::spawn({
            let group = Arc::clone(&group);
            move || group.1.take(&group.0, most, || None)
        });
        group.0.claim();
        group.1.free.ring();
        assert_eq!(spawner.join().unwrap(), Err(Refused::Ended));
    });
}

/// Likewise of a thread that leaves.
fn a_spawn_at_the_limit_against_a_thread_that_leaves() {
    model(|| {
        let group = Arc::new((Claim::new(), Places::default()));
        let most = Most {
            alive: Some(1),
            ever: None,
        };
        group.1.take(&group.0, most, || None).unwrap();
        let spawner = thread::spawn({
            let group = Arc::clone(&group);
            move || group.1.take(&group.0, most, || None)
        });
        group.1.give_back(true);
        assert_eq!(spawner.join().unwrap(), Ok(()));
    });
}

/// Two wait for one place, which is left twice; the group ends afterwards.
fn two_spawns_at_the_limit() {
    bounded(2, || {
        let group = Arc::new((Claim::new(), Places::default()));
        let most = Most {
            alive: Some(1),
            ever: None,
        };
        group.1.take(&group.0, most, || None).unwrap();
        let spawners: Vec<_> = (0..2)
            .map(|_| {
                let group = Arc::clone(&group);
                thread::spawn(move || {
                    group.1.take(&group.0, most, || None).unwrap();
                    group.1.give_back(true);
                })
            })
            .collect();
        group.1.give_back(true);
        for spawner in spawners {
            spawner.join().unwrap();
        }
    });
}

/// A thread that waits for the outcome hears of it.
fn the_supervisor_hears_the_claim() {
    model(|| {
        let group = Arc::new((Claim::new(), Bell::default()));
        let ender = thread::spawn({
            let group = Arc::clone(&group);
            move || {
                group.0.claim();
                group.1.ring();
            }
        });
        let (claim, bell) = &*group;
        loop {
            let heard = bell.listen();
            if claim.is_claimed() {
                break;
            }
            bell.wait(heard, None);
        }
        ender.join().unwrap();
    });
}

/// The last thread has begun to wait, and looks whether all are stuck. One of them is woken from
/// outside meanwhile, and registers another. Either the deadlock is claimed, and the other is
/// refused, or it is not.
fn a_deadlock_against_a_spawn() {
    model(|| {
        let claim = Arc::new(Claim::new());
        // As the parking lot counts: threads that do not wait.
        let live = Arc::new(AtomicU64::new(0));
        let woken = thread::spawn({
            let (claim, live) = (Arc::clone(&claim), Arc::clone(&live));
            move || {
                live.fetch_add(1, Ordering::AcqRel);
                claim.step()
            }
        });
        let found = loop {
            let Some(seen) = claim.look() else {
                break false;
            };
            if live.load(Ordering::Acquire) > 0 {
                break false;
            }
            if claim.ask(seen) {
                break true;
            }
        };
        let registered = woken.join().unwrap();
        assert!(!(found && registered));
        assert_eq!(found, claim.is_asking());
    });
}

/// Stuck threads answer, the supervisor loses its patience: the deadlock is told once.
fn answers_against_end() {
    model(|| {
        let claim = Arc::new(Claim::new());
        let left = Arc::new(AtomicUsize::new(1));
        let told = Arc::new(AtomicUsize::new(0));
        let tell = |claimed: Claimed, told: &AtomicUsize| {
            if !matches!(claimed, Claimed::Late { .. }) {
                told.fetch_add(1, Ordering::SeqCst);
            }
        };
        let seen = claim.look().unwrap();
        assert!(claim.ask(seen));
        let stuck = thread::spawn({
            let (claim, left, told) = (Arc::clone(&claim), Arc::clone(&left), Arc::clone(&told));
            move || {
                if left.fetch_sub(1, Ordering::SeqCst) == 1 {
                    tell(claim.claim(), &told);
                }
            }
        });
        let claimed = claim.claim();
        assert!(!matches!(claimed, Claimed::First { .. }));
        tell(claimed, &told);
        stuck.join().unwrap();
        assert_eq!(told.load(Ordering::SeqCst), 1);
    });
}

/// A waker that is registered while the end empties the list is woken by one of the two, and once.
fn what_the_end_wakes() {
    model(|| {
        let list = Arc::new(Handoff::default());
        let woken = Arc::new(AtomicUsize::new(0));
        let waiter = thread::spawn({
            let (list, woken) = (Arc::clone(&list), Arc::clone(&woken));
            move || {
                let (_, before, left) = list.put(None, ());
                assert!(before.is_none());
                let count = left.into_iter().count();
                woken.fetch_add(count, Ordering::SeqCst);
            }
        });
        let other = thread::spawn({
            let list = Arc::clone(&list);
            let woken = Arc::clone(&woken);
            move || {
                let (_, left) = list.take(77);
                woken.fetch_add(left.into_iter().count(), Ordering::SeqCst);
            }
        });
        let (first, left) = list.end();
        assert!(first);
        woken.fetch_add(left.into_iter().count(), Ordering::SeqCst);
        waiter.join().unwrap();
        other.join().unwrap();
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    });
}

/// A host call marks its word, then looks at the end's flag; the end raises the flag, has every
/// processor pass a barrier, then reads the word. A thread that is seen outside cannot get in. The
/// barrier is the kernel's: here it is a fence on both sides.
fn a_host_call_against_the_end() {
    model(|| {
        let state = Arc::new((AtomicBool::new(false), AtomicU64::new(0)));
        let barrier = || {
            if !is_mutant("an end without a barrier") {
                fence(Ordering::SeqCst);
            }
        };
        let thread = thread::spawn({
            let state = Arc::clone(&state);
            move || {
                let (flag, word) = &*state;
                word.store(1, Ordering::Relaxed);
                barrier();
                // Whether it gets in.
                !flag.load(Ordering::Relaxed)
            }
        });
        let (flag, word) = &*state;
        let outside = if is_mutant("words before the flag") {
            let outside = word.load(Ordering::Relaxed) == 0;
            barrier();
            flag.store(true, Ordering::Relaxed);
            outside
        } else {
            flag.store(true, Ordering::Relaxed);
            barrier();
            word.load(Ordering::Relaxed) == 0
        };
        let inside = thread.join().unwrap();
        assert!(!(outside && inside));
    });
}

/// A spawner gives a thread its turn before that has come to its seat, while it comes, or later: it
/// gets it.
fn a_turn_for_a_thread_that_is_late() {
    model(|| {
        let seats = Seats::default();
        let seat = seats.add(1);
        let late = thread::spawn(move || seat.take());
        assert!(seats.give(1, 7));
        assert!(!seats.give(2, 7));
        assert_eq!(late.join().unwrap(), Roused::Turn(7));
    });
}

/// The turn goes to a thread and back, again and again. What its holder changes no other thread
/// touches, or loom finds a race.
fn one_thread_runs_at_a_time() {
    struct Shared {
        seats: Seats,
        holders: loom::cell::UnsafeCell<u64>,
    }
    impl Shared {
        #[allow(unsafe_code)]
        fn hold(&self) -> u64 {
            // SAFETY: loom panics where two threads are in here.
            self.holders.with_mut(|holders| unsafe {
                *holders += 1;
                *holders
            })
        }
    }
    #[allow(unsafe_code)]
    // SAFETY: loom checks each access to the cell.
    unsafe impl Sync for Shared {}
    model(|| {
        let shared = Arc::new(Shared {
            seats: Seats::default(),
            holders: loom::cell::UnsafeCell::new(0),
        });
        let (mine, others) = (shared.seats.add(0), shared.seats.add(1));
        let other = thread::spawn({
            let shared = Arc::clone(&shared);
            move || {
                for turn in 0..2 {
                    assert_eq!(others.take(), Roused::Turn(turn));
                    assert_eq!(shared.hold(), 2 * turn + 2);
                    assert!(shared.seats.give(0, turn));
                }
            }
        });
        for turn in 0..2 {
            assert_eq!(shared.hold(), 2 * turn + 1);
            assert!(shared.seats.give(1, turn));
            assert_eq!(mine.take(), Roused::Turn(turn));
        }
        other.join().unwrap();
        assert_eq!(shared.hold(), 5);
    });
}

/// A thread that is spawned as the group ends comes back, whichever of the two is first; so does
/// one that had its seat.
fn a_new_seat_against_the_end() {
    model(|| {
        let seats = Arc::new(Seats::default());
        let old = seats.add(0);
        let spawner = thread::spawn({
            let seats = Arc::clone(&seats);
            move || seats.add(1).take()
        });
        seats.end();
        assert_eq!(old.take(), Roused::Ended);
        assert_eq!(spawner.join().unwrap(), Roused::Ended);
    });
}

/// A thread that is asked where it is as it is given the turn gets both, or the turn alone where
/// that was first.
fn a_turn_beside_a_question() {
    model(|| {
        let seats = Arc::new(Seats::default());
        let seat = seats.add(1);
        let taker = thread::spawn(move || match seat.take() {
            Roused::Asked => seat.take(),
            first => first,
        });
        let asker = thread::spawn({
            let seats = Arc::clone(&seats);
            move || seats.ask(1)
        });
        seats.give(1, 3);
        assert_eq!(taker.join().unwrap(), Roused::Turn(3));
        asker.join().unwrap();
    });
}
