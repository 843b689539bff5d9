//! What a schedule finds: lost updates, lost wake-ups, deadlocks, runs that never end, faults of a
//! policy.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wasi_threads::rewrite::Points;
use wasi_threads::schedule::{
    Policy, Schedule, ScheduleError, ScheduleRefusal, Scheduled, Stop, Turn, Why,
};
use wasi_threads::{GroupError, Limits, Outcome, ThreadId, prepare};

use super::support::{CancelOnDrop, Log, builder, config, engine, guest, watchdog};
use super::{pointed, run, walk};

/// How the runs of a guest end under so many seeds.
fn outcomes(body: &str, points: Points, seeds: u64, budget: u64) -> BTreeMap<String, u64> {
    let engine = engine();
    let module = pointed(&engine, &guest(body), points);
    let mut outcomes = BTreeMap::new();
    for seed in 0..seeds {
        let (ran, _) = run(&engine, &module, Scheduled::new(walk(seed, budget)));
        let shown = format!("{} {:?}", ran.outcome, ran.logged);
        *outcomes.entry(shown).or_default() += 1;
    }
    outcomes
}

/// Two threads that add 1 to a word in two steps; main says what is there then.
fn two_that_add(load: &str, store: &str) -> String {
    format!(
        r#"(func (export "wasi_thread_start") (param i32 i32)
             ({store} (i32.const 4) (i32.add ({load} (i32.const 4)) (i32.const 1)))
             (call $signal (i32.const 8)))
           (func (export "_start")
             (drop (call $spawn (i32.const 0)))
             (drop (call $spawn (i32.const 0)))
             (call $await (i32.const 8) (i32.const 2))
             (call $log (i32.load (i32.const 4))))"#
    )
}

#[test]
fn a_lost_update_is_found() {
    let _watchdog = watchdog("a_lost_update_is_found", 600);
    let atomic = two_that_add("i32.atomic.load", "i32.atomic.store");
    let found = outcomes(&atomic, Points::Atomics, 60, 2);
    let lost = found.get("Returned [1]").copied().unwrap_or(0);
    assert!(lost > 0 && lost < 60 && found.len() == 2, "{found:?}");
    // Plain accesses have no points of their own unless that is asked for.
    let plain = two_that_add("i32.load", "i32.store");
    let none = outcomes(&plain, Points::Atomics, 60, 2);
    assert_eq!(none.get("Returned [2]"), Some(&60), "{none:?}");
    let found = outcomes(&plain, Points::Accesses, 60, 2);
    assert!(found.contains_key("Returned [1]"), "{found:?}");
    // Added in one step nothing is lost.
    let sound = r#"(func (export "wasi_thread_start") (param i32 i32)
             (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
             (call $signal (i32.const 8)))
           (func (export "_start")
             (drop (call $spawn (i32.const 0)))
             (drop (call $spawn (i32.const 0)))
             (call $await (i32.const 8) (i32.const 2))
             (call $log (i32.load (i32.const 4))))"#;
    let none = outcomes(sound, Points::Loops, 60, 2);
    assert_eq!(none.get("Returned [2]"), Some(&60), "{none:?}");
}

#[test]
fn a_lost_wake_up_is_found() {
    let _watchdog = watchdog("a_lost_wake_up_is_found", 600);
    // It looks whether there is something to wait for, and then waits for another word than that.
    let body = r#"(func (export "wasi_thread_start") (param i32 i32)
             (i32.atomic.store (i32.const 4) (i32.const 1))
             (drop (memory.atomic.notify (i32.const 8) (i32.const 1))))
           (func (export "_start")
             (drop (call $spawn (i32.const 0)))
             (if (i32.eqz (i32.atomic.load (i32.const 4)))
               (then (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1))))))"#;
    let found = outcomes(body, Points::Atomics, 60, 2);
    assert!(found.contains_key("Returned []"), "{found:?}");
    assert!(
        found.contains_key("deadlocked: [(0, Some(8))] []"),
        "{found:?}"
    );
}

/// Two threads that take two locks, in the order that their argument says.
const TWO_LOCKS: &str = r#"
    (func $lock (param $at i32)
      (loop $again
        (if (i32.atomic.rmw.cmpxchg (local.get $at) (i32.const 0) (i32.const 1))
          (then
            (drop (memory.atomic.wait32 (local.get $at) (i32.const 1) (i64.const -1)))
            (br $again)))))
    (func $unlock (param $at i32)
      (i32.atomic.store (local.get $at) (i32.const 0))
      (drop (memory.atomic.notify (local.get $at) (i32.const 1))))
    (func (export "wasi_thread_start") (param $tid i32) (param $first i32)
      (call $lock (local.get $first))
      (call $lock (i32.sub (i32.const 8) (local.get $first)))
      (call $unlock (i32.const 0))
      (call $unlock (i32.const 8))
      (call $signal (i32.const 16)))
    (func (export "_start")
      (drop (call $spawn (i32.const 0)))
      (drop (call $spawn (i32.const 8)))
      (call $await (i32.const 16) (i32.const 2)))"#;

#[test]
fn a_deadlock_is_told_with_every_thread_and_where_it_is() {
    let _watchdog = watchdog("a_deadlock_is_told", 600);
    let engine = engine();
    let module = pointed(&engine, &guest(TWO_LOCKS), Points::Atomics);
    let mut deadlocks = 0;
    for seed in 0..40 {
        let log = Arc::<Log>::default();
        let scheduled = Scheduled::new(walk(seed, 2));
        let group = builder(&engine, &module, &log)
            .schedule(Schedule::Policy(scheduled))
            .build()
            .unwrap();
        match group.run("_start").unwrap() {
            Outcome::Returned => {}
            Outcome::Deadlocked(deadlock) => {
                deadlocks += 1;
                let threads: Vec<_> = deadlock.threads.iter().collect();
                let ids: Vec<_> = threads.iter().map(|one| one.thread.get()).collect();
                assert_eq!(ids, [0, 1, 2]);
                let addresses: Vec<_> = threads.iter().filter_map(|one| one.address).collect();
                assert_eq!(addresses, [16, 8, 0]);
                for thread in threads {
                    assert_eq!((thread.memory, thread.timed), (Some(0), false));
                    let trace = thread.backtrace.as_ref().expect("it says where it is");
                    assert!(!trace.to_frames().is_empty());
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(deadlocks > 0 && deadlocks < 40, "{deadlocks}");
}

#[test]
fn a_run_that_does_not_end_is_bounded() {
    let _watchdog = watchdog("a_run_that_does_not_end_is_bounded", 600);
    let engine = engine();
    let body = r#"(func (export "_start")
        (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 0))))))"#;
    let module = pointed(&engine, &guest(body), Points::Atomics);
    for budget in [0, 3, 1 << 40] {
        let scheduled = Scheduled::new(walk(1, budget)).max_points(1000);
        let (ran, trace) = run(&engine, &module, scheduled);
        assert_eq!(ran.outcome, "ScheduleFailed(TooManyPoints(1000))");
        assert_eq!(trace.points, 1001, "{budget}");
    }
}

/// Names a thread that there is not, at the decision after so many.
struct Astray(u64, ThreadId);

impl Policy for Astray {
    fn began(&mut self, thread: ThreadId, _: Option<ThreadId>) {
        self.1 = thread;
    }

    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        self.0 = self.0.saturating_sub(1);
        let ended = stop.why == Why::End;
        let thread = if self.0 == 0 && !stop.runnable.contains(&self.1) || ended {
            self.1
        } else {
            *stop.runnable.last().expect("one can run")
        };
        Turn { thread, budget: 2 }
    }
}

#[test]
fn a_policy_that_names_a_dead_thread_is_told_so() {
    let _watchdog = watchdog("a_policy_that_names_a_dead_thread", 600);
    let engine = engine();
    let body = two_that_add("i32.atomic.load", "i32.atomic.store");
    let module = pointed(&engine, &guest(&body), Points::Atomics);
    let scheduled = Scheduled::new(Astray(1000, ThreadId::MAIN));
    let log = Arc::<Log>::default();
    let group = builder(&engine, &module, &log)
        .schedule(Schedule::Policy(scheduled))
        .build()
        .unwrap();
    let Outcome::ScheduleFailed(error) = group.run("_start").unwrap() else {
        panic!("{:?}", group.handle().outcome())
    };
    assert!(
        matches!(error, ScheduleError::NotRunnable(thread) if thread.get() > 0),
        "{error}"
    );
    assert!(error.to_string().contains("can neither run nor is asleep"));
}

/// Panics at the stop that it is told of.
struct Panics(Why);

impl Policy for Panics {
    fn next(&mut self, stop: &Stop<'_>) -> Turn {
        assert_ne!(stop.why, self.0, "the policy's own fault");
        let thread = *stop.runnable.first().expect("one can run");
        Turn { thread, budget: 0 }
    }
}

#[test]
fn a_policy_that_panics_ends_the_run() {
    let _watchdog = watchdog("a_policy_that_panics_ends_the_run", 600);
    let engine = engine();
    let body = two_that_add("i32.atomic.load", "i32.atomic.store");
    let module = pointed(&engine, &guest(&body), Points::Atomics);
    for (why, expected) in [
        (Why::Start, "ScheduleFailed(PolicyPanicked)"),
        (Why::Atomic, "Panicked"),
        (Why::Spawn, "Panicked"),
        (Why::Wait, "Panicked"),
        (Why::End, "ScheduleFailed(PolicyPanicked)"),
    ] {
        let (ran, _) = run(&engine, &module, Scheduled::new(Panics(why)));
        assert!(ran.outcome.starts_with(expected), "{why:?}: {ran:?}");
    }
}

#[test]
fn an_end_from_outside_reaches_threads_that_wait_for_their_turn() {
    let _watchdog = watchdog("an_end_from_outside", 600);
    let engine = engine();
    let body = r#"(func (export "wasi_thread_start") (param i32 i32) (call $park))
        (func (export "_start")
          (local $left i32)
          (local.set $left (i32.const 20))
          (loop $l
            (drop (call $spawn (i32.const 0)))
            (br_if $l (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
          (call $count)
          (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 0))))))"#;
    let module = pointed(&engine, &guest(body), Points::Atomics);
    for round in 0..10 {
        let log = Arc::<Log>::default();
        let limits = Limits::new().timeout(Duration::from_millis(50));
        let group = builder(&engine, &module, &log)
            .limits(if round < 5 { limits } else { Limits::new() })
            .schedule(Schedule::Policy(Scheduled::new(walk(round, 3))))
            .build()
            .unwrap();
        let cancel = CancelOnDrop(group.handle());
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(if round < 5 { 5000 } else { 30 }));
            drop(cancel);
        });
        let outcome = group.run("_start").unwrap();
        match round < 5 {
            true => assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}"),
            false => {
                assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
                canceller.join().unwrap();
            }
        }
    }
}

#[test]
fn a_trap_or_an_exit_of_one_ends_all() {
    let _watchdog = watchdog("a_trap_or_an_exit_of_one_ends_all", 600);
    for (end, expected) in [
        ("(unreachable)", "trapped: Some(UnreachableCodeReached)"),
        ("(call $exit (i32.const 7))", "Exited(7)"),
        ("(call $panic)", "Panicked"),
    ] {
        let body = format!(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (drop (i32.atomic.rmw.add (i32.const 4) (i32.const 1)))
                 (if (local.get 1) (then {end}))
                 (call $park))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0)))
                 (drop (call $spawn (i32.const 1)))
                 (drop (call $spawn (i32.const 0)))
                 (call $park))"#
        );
        let found = outcomes(&body, Points::Atomics, 10, 3);
        let all = found.keys().all(|outcome| outcome.contains(expected));
        assert!(all, "{found:?}");
    }
}

#[test]
fn what_a_schedule_cannot_have_is_refused_by_name() {
    let engine = engine();
    let bytes = guest(r#"(func (export "_start"))"#);
    let log = Arc::<Log>::default();
    let schedule = || Schedule::Policy(Scheduled::new(walk(1, 1)));
    let refused =
        |result: Result<_, GroupError>| match result.map(|_: wasi_threads::ThreadGroup<_>| ()) {
            Err(GroupError::NoSchedule(why)) => Some(why),
            _ => None,
        };
    let plain = prepare(&engine, &bytes).unwrap();
    let group = builder(&engine, &plain, &log).schedule(schedule()).build();
    assert_eq!(refused(group), Some(ScheduleRefusal::NoPoints));
    let module = pointed(&engine, &bytes, Points::Atomics);
    let beneath = pointed(
        &engine,
        &wat::parse_str("(module)").unwrap(),
        Points::Atomics,
    );
    let group = builder(&engine, &module, &log).preload("b", &beneath);
    assert_eq!(
        refused(group.schedule(schedule()).build()),
        Some(ScheduleRefusal::Preloads)
    );
    let group = builder(&engine, &module, &log).async_host_functions(true);
    assert_eq!(
        refused(group.schedule(schedule()).build()),
        Some(ScheduleRefusal::Async)
    );
    let fuel = wasmtime::Engine::new(config().consume_fuel(true)).unwrap();
    let module = pointed(&fuel, &bytes, Points::Atomics);
    let group = builder(&fuel, &module, &log).limits(Limits::new().fuel(1000));
    assert_eq!(
        refused(group.schedule(schedule()).build()),
        Some(ScheduleRefusal::Fuel)
    );
}
