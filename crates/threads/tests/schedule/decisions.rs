//! What a policy is told: names of decisions, lists, times.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use wasi_threads::rewrite::Points;
use wasi_threads::schedule::{Policy, Schedule, Scheduled, Stop, Turn, Why};
use wasi_threads::{Outcome, ThreadId};

use super::support::{Log, builder, engine, guest, watchdog};
use super::{LOCKS, Walk, pointed, run, walk};

/// What a policy was told, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Began(u32, Option<u32>),
    Stop {
        thread: u32,
        point: u64,
        why: Why,
        runnable: Vec<u32>,
        sleeping: Vec<(u32, u64)>,
        total: u64,
        now: u64,
    },
    Ended(u32),
}

/// Records what it is told, and lets another policy decide.
struct Noting<P>(Arc<Mutex<Vec<Told>>>, P);

impl<P: Policy> Policy for Noting<P> {
    fn began(&mut self, thread: ThreadId, parent: Option<ThreadId>) {
        let told = Told::Began(thread.get(), parent.map(ThreadId::get));
        self.0.lock().unwrap().push(told);
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let sleeping = stop.sleeping.iter();
        self.0.lock().unwrap().push(Told::Stop {
            thread: stop.thread.get(),
            point: stop.point,
            why: stop.why,
            runnable: stop.runnable.iter().map(|one| one.get()).collect(),
            sleeping: sleeping
                .map(|one| (one.thread.get(), one.deadline))
                .collect(),
            total: stop.total,
            now: stop.now,
        });
        self.1.next(stop)
    }

    fn ended(&mut self, thread: ThreadId) {
        self.0.lock().unwrap().push(Told::Ended(thread.get()));
    }
}

/// The lowest thread that can run, otherwise the first sleeper, with one budget.
struct Lowest(u64);

impl Policy for Lowest {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        let thread = stop.runnable.first().copied();
        Turn {
            thread: thread.unwrap_or_else(|| stop.sleeping[0].thread),
            budget: self.0,
        }
    }
}

fn told(body: &str, points: Points, policy: impl Policy + 'static) -> (Vec<Told>, Outcome) {
    let engine = engine();
    let module = pointed(&engine, &guest(body), points);
    let notes = Arc::<Mutex<Vec<Told>>>::default();
    let scheduled = Scheduled::new(Noting(Arc::clone(&notes), policy)).start_time(1_000_000);
    let log = Arc::<Log>::default();
    let group = builder(&engine, &module, &log)
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    let told = notes.lock().unwrap().clone();
    (told, outcome)
}

#[test]
fn a_short_run_is_told_as_it_was() {
    let _watchdog = watchdog("a_short_run_is_told_as_it_was", 600);
    // Main waits up to a second for a thread that only notifies.
    let body = r#"(func (export "wasi_thread_start") (param i32 i32)
            (i32.atomic.store (i32.const 0) (i32.const 1))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
        (func (export "_start")
            (drop (call $spawn (i32.const 0)))
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const 1000000000)))
            (drop (i32.atomic.load (i32.const 0))))"#;
    let (told, outcome) = told(body, Points::Atomics, Lowest(0));
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let stop = |thread, point, why, runnable: &[u32], sleeping: &[(u32, u64)], total| Told::Stop {
        thread,
        point,
        why,
        runnable: runnable.to_vec(),
        sleeping: sleeping.to_vec(),
        total,
        now: 1_000_000 + 20 * total,
    };
    let deadline = 1_000_000_000 + 1_000_000 + 3 * 20;
    let expected = [
        Told::Began(0, None),
        stop(0, 0, Why::Start, &[0], &[], 0),
        Told::Began(1, Some(0)),
        stop(0, 1, Why::Spawn, &[0, 1], &[], 1),
        stop(0, 2, Why::Wait, &[0, 1], &[], 2),
        stop(0, 3, Why::Wait, &[1], &[(0, deadline)], 3),
        stop(1, 1, Why::Atomic, &[1], &[(0, deadline)], 4),
        stop(1, 2, Why::Notify, &[1], &[(0, deadline)], 5),
        stop(1, 3, Why::Notify, &[0, 1], &[], 6),
        stop(0, 4, Why::Atomic, &[0, 1], &[], 7),
    ];
    assert_eq!(told[..expected.len()], expected);
    // Main has returned, so the policy is not asked for a thread that still waits for its turn.
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn every_decision_has_a_name_of_its_own() {
    let _watchdog = watchdog("every_decision_has_a_name_of_its_own", 600);
    // Threads that end before the next is started get the ids of those.
    let body = r#"(func (export "wasi_thread_start") (param i32 i32) (call $signal (i32.const 8)))
        (func (export "_start")
          (local $done i32)
          (loop $l
            (drop (call $spawn (i32.const 0)))
            (local.set $done (i32.add (local.get $done) (i32.const 1)))
            (call $await (i32.const 8) (local.get $done))
            (br_if $l (i32.lt_u (local.get $done) (i32.const 12)))))"#;
    for (body, seed) in [(body, 1), (body, 2), (LOCKS, 3), (LOCKS, 4)] {
        let (told, _) = told(body, Points::Atomics, walk(seed, 2));
        let mut last = BTreeMap::<u32, u64>::new();
        let (mut stops, mut totals) = (0, 0);
        for one in &told {
            if let Told::Stop {
                thread,
                point,
                total,
                ..
            } = one
            {
                let before = last.insert(*thread, *point);
                assert!(before.is_none_or(|before| before < *point), "{one:?}");
                assert!(*total >= totals, "{one:?}");
                totals = *total;
                stops += 1;
                // The total is the sum of each thread's points.
                assert!(last.values().sum::<u64>() <= *total, "{one:?}");
            }
        }
        assert!(stops > 20, "{stops}");
    }
}

#[test]
fn an_hour_takes_no_time_and_the_first_deadline_comes_first() {
    let _watchdog = watchdog("an_hour_takes_no_time", 600);
    let began = std::time::Instant::now();
    let engine = engine();
    let body = r#"(func (export "wasi_thread_start") (param $tid i32) (param $hours i32)
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0)
              (i64.mul (i64.extend_i32_u (local.get $hours)) (i64.const 3600000000000))))
            (call $log (local.get $hours))
            (call $signal (i32.const 8)))
        (func (export "_start")
            (drop (call $spawn (i32.const 3)))
            (drop (call $spawn (i32.const 1)))
            (drop (call $spawn (i32.const 2)))
            (call $await (i32.const 8) (i32.const 3)))"#;
    let module = pointed(&engine, &guest(body), Points::Atomics);
    let hour = 3_600_000_000_000;
    for seed in 0..5 {
        let (ran, trace) = run(&engine, &module, Scheduled::new(walk(seed, 3)));
        assert_eq!(
            (ran.outcome.as_str(), ran.logged),
            ("Returned", vec![1, 2, 3])
        );
        assert!(trace.now >= 3 * hour && trace.now < 3 * hour + 1_000_000);
    }
    // A policy may let deadlines come early, in any order, as if other threads were slow.
    let orders: std::collections::BTreeSet<_> = (0..40)
        .map(|seed| {
            let early = Walk {
                early: 3,
                ..walk(seed, 3)
            };
            run(&engine, &module, Scheduled::new(early)).0.logged
        })
        .collect();
    assert!(orders.contains(&vec![1, 2, 3]), "{orders:?}");
    // Hundreds of hours, however busy the host is.
    assert!(began.elapsed() < std::time::Duration::from_secs(500));
}

#[test]
fn budgets_are_used_up_before_the_policy_is_asked() {
    let _watchdog = watchdog("budgets_are_used_up", 600);
    let body = r#"(func (export "_start")
          (local $left i32)
          (local.set $left (i32.const 100))
          (loop $l
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))"#;
    for budget in [0, 1, 9, 49, 1000] {
        let (told, _) = told(body, Points::Atomics, Lowest(budget));
        let points = told.iter().filter_map(|one| match one {
            Told::Stop {
                point,
                why: Why::Atomic,
                ..
            } => Some(*point),
            _ => None,
        });
        let expected: Vec<u64> = (1..=100)
            .filter(|point| point % (budget + 1) == 0)
            .collect();
        assert_eq!(points.collect::<Vec<_>>(), expected, "{budget}");
    }
}
