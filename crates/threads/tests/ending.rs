//! How soon all threads end, wherever they are, and that nothing is left.
//!
//! Times are printed (`--nocapture`). The assertions allow for a busy machine.
//! `scripts/threads-stress.sh` runs the long form.

mod support;

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{Limits, Outcome, Pool};
use wasmtime::{Store, UpdateDeadline};

/// Only one test of this file runs at a time: they count the host threads of the process.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> std::sync::MutexGuard<'static, ()> {
    ALONE
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// One in the short form; the long form sets the number.
fn rounds() -> usize {
    stress().unwrap_or(1) as usize
}

/// Whether this is the long form.
fn long() -> bool {
    rounds() > 1
}

/// Whether the process has no more host threads than `before`. A joined thread has run its last
/// instruction, but the kernel may list it for a moment longer.
fn gone_back_to(before: usize) -> bool {
    eventually(Duration::from_secs(5), || host_threads() <= before)
}

/// A guest with `threads` children that do `what` once all of them run; main then counts one and
/// waits.
fn crowd(threads: u32, what: &str) -> Vec<u8> {
    guest(&format!(
        r#"(func (export "wasi_thread_start") (param i32 i32)
             (call $signal (i32.const 0))
             (call $await (i32.const 0) (i32.const {threads}))
             {what})
           (func (export "_start") (local $i i32)
             (loop $l
               (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
               (br_if $l (i32.lt_u
                 (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {threads}))))
             (call $await (i32.const 0) (i32.const {threads}))
             (call $count)
             (call $park))"#
    ))
}

/// From the cancellation to the return of `run`, for each of `rounds` groups.
fn times_to_end(door: Door, threads: u32, what: &str, rounds: usize) -> Vec<Duration> {
    let engine = engine();
    let module = door.module(&engine, &crowd(threads, what));
    let before = host_threads();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let log = Arc::<Log>::default();
        let group = builder(&engine, &module, &log).build().unwrap();
        let handle = group.handle();
        let waits = Arc::clone(&log);
        let (ended, outcome) = std::thread::scope(|scope| {
            let ender = scope.spawn(move || {
                assert!(eventually(Duration::from_secs(60), || {
                    waits.count.load(Ordering::SeqCst) == 1
                }));
                // Long enough for all threads to get where they are going.
                std::thread::sleep(Duration::from_millis(20));
                let ended = Instant::now();
                assert!(handle.cancel());
                ended
            });
            let outcome = group.run("_start").unwrap();
            let returned = Instant::now();
            (returned - ender.join().unwrap(), outcome)
        });
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
        assert_eq!(group.spawn_failures().count, 0);
        times.push(ended);
        assert!(gone_back_to(before));
    }
    times.sort_unstable();
    eprintln!(
        "{door:?}, {threads} threads, {what}: median {:?}, worst {:?} of {rounds}",
        times[rounds / 2],
        times[rounds - 1]
    );
    times
}

/// For comparison in the same run, as many threads of the standard library, each asleep: the time
/// from waking the first until the last has been joined.
fn times_to_join(threads: u32, rounds: usize) {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let stop = Arc::new(AtomicBool::new(false));
        let asleep = Arc::new(AtomicU64::new(0));
        let started: Vec<_> = (0..threads)
            .map(|_| {
                let (stop, asleep) = (Arc::clone(&stop), Arc::clone(&asleep));
                std::thread::spawn(move || {
                    asleep.fetch_add(1, Ordering::SeqCst);
                    while !stop.load(Ordering::SeqCst) {
                        std::thread::park();
                    }
                })
            })
            .collect();
        assert!(eventually(Duration::from_secs(60), || {
            asleep.load(Ordering::SeqCst) == u64::from(threads)
        }));
        std::thread::sleep(Duration::from_millis(20));
        let start = Instant::now();
        stop.store(true, Ordering::SeqCst);
        for thread in &started {
            thread.thread().unpark();
        }
        for thread in started {
            thread.join().unwrap();
        }
        times.push(start.elapsed());
    }
    times.sort_unstable();
    eprintln!(
        "the standard library, {threads} threads, woken and joined: median {:?}, worst {:?} of {rounds}",
        times[rounds / 2],
        times[rounds - 1]
    );
}

#[test]
fn parked_threads_end_at_once() {
    let _alone = alone();
    let _dog = watchdog("parked_threads_end_at_once", 300);
    let (threads, rounds) = if long() {
        (1000, 20)
    } else {
        (less(200, 40), 3)
    };
    times_to_join(threads, rounds);
    let times = times_to_end(Door::Prepared, threads, "(call $park)", rounds);
    let limit = Duration::from_millis(if long() { 400 } else { 300 });
    assert!(times[rounds / 2] < slower(limit));
}

#[test]
fn unprepared_parked_threads_end_by_the_sweep() {
    let _alone = alone();
    let _dog = watchdog("unprepared_parked_threads_end_by_the_sweep", 300);
    // Twice in a row without an epoch check in between, so that one sweep is not enough.
    let twice = "(call $park) (call $park)";
    let times = times_to_end(Door::Unprepared, less(50, 20), twice, 3);
    assert!(times[2] < slower(Duration::from_secs(10)));
}

#[test]
fn spinning_threads_end_at_once() {
    let _alone = alone();
    let _dog = watchdog("spinning_threads_end_at_once", 300);
    let rounds = if long() { 20 } else { 5 };
    let times = times_to_end(Door::Prepared, 16, "(call $spin)", rounds);
    assert!(times[rounds / 2] < slower(Duration::from_millis(500)));
}

#[test]
fn threads_in_host_calls_end_at_once() {
    let _alone = alone();
    let _dog = watchdog("threads_in_host_calls_end_at_once", 300);
    let times = times_to_end(Door::Prepared, less(100, 30), "(call $block)", 5);
    assert!(times[2] < slower(Duration::from_millis(500)));
}

/// One fill of an untouched GiB, which takes seconds, and the end in the middle of it.
#[test]
fn bulk_memory_ends_between_chunks() {
    let _alone = alone();
    let _dog = watchdog("bulk_memory_ends_between_chunks", 300);
    let engine = engine();
    let bytes = wat::parse_str(
        r#"(module (import "env" "memory" (memory 16384 16384 shared))
             (import "host" "count" (func $count))
             (func (export "_start") (local $length i32)
               (local.set $length (i32.const 0x3fffffff))
               (call $count)
               (memory.fill (i32.const 0) (i32.const 1) (local.get $length))))"#,
    )
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let log = Arc::<Log>::default();
    let group = builder(&engine, &module, &log).build().unwrap();
    let handle = group.handle();
    let memory = group.host_memory().unwrap();
    let (ended, outcome) = std::thread::scope(|scope| {
        let ender = scope.spawn(|| {
            // The fill has begun.
            assert!(eventually(Duration::from_secs(60), || {
                memory.load32(0).unwrap() != 0
            }));
            handle.cancel();
            Instant::now()
        });
        let outcome = group.run("_start").unwrap();
        (ender.join().unwrap(), outcome)
    });
    eprintln!("in a fill of 1 GiB: {:?}", ended.elapsed());
    assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    assert_eq!(log.count.load(Ordering::SeqCst), 1);
    assert_eq!(
        memory.load32((1 << 30) - 8).unwrap(),
        0,
        "it ran to its end"
    );
}

/// Two groups and a bystander on one engine, which the embedder ticks every millisecond: the end of
/// one group traps no other thread.
#[test]
fn nobody_else_is_trapped() {
    let _alone = alone();
    let _dog = watchdog("nobody_else_is_trapped", 120);
    let engine = engine();
    let stop = AtomicBool::new(false);
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32) (call $spin))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0)))
                 (call $count)
                 (call $spin))"#,
        ),
    );
    let plain = wasmtime::Module::new(
        &engine,
        r#"(module (memory (export "m") 1)
             (func (export "f") (param i32) (loop $l
               (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#,
    )
    .unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                engine.increment_epoch();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let bystander = scope.spawn(|| {
            let mut store = Store::new(&engine, ());
            store.set_epoch_deadline(1);
            store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
            let instance = wasmtime::Instance::new(&mut store, &plain, &[]).unwrap();
            let f = instance.get_typed_func::<i32, ()>(&mut store, "f").unwrap();
            while !stop.load(Ordering::SeqCst) {
                f.call(&mut store, 1_000_000).unwrap();
            }
        });
        let start = |log: &Arc<Log>| builder(&engine, &module, log).build().unwrap();
        let (log_a, log_b) = (Arc::<Log>::default(), Arc::<Log>::default());
        let (a, b) = (start(&log_a), start(&log_b));
        let (handle_a, handle_b) = (a.handle(), b.handle());
        let run_a = scope.spawn(move || a.run("_start").unwrap());
        let run_b = scope.spawn(move || b.run("_start").unwrap());
        for log in [&log_a, &log_b] {
            assert!(eventually(Duration::from_secs(30), || log
                .count
                .load(Ordering::SeqCst)
                == 1));
        }
        std::thread::sleep(Duration::from_millis(20));
        assert!(handle_a.cancel());
        assert!(matches!(run_a.join().unwrap(), Outcome::Cancelled));
        std::thread::sleep(Duration::from_millis(50));
        assert!(!handle_b.is_ended());
        assert_eq!(handle_b.threads().len(), 2);
        assert!(handle_b.cancel());
        assert!(matches!(run_b.join().unwrap(), Outcome::Cancelled));
        stop.store(true, Ordering::SeqCst);
        bystander.join().unwrap();
    });
}

/// The end comes at any moment of a spawn.
#[test]
fn ending_while_threads_are_being_started() {
    let _alone = alone();
    let _dog = watchdog("ending_while_threads_are_being_started", 300);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 0))) (call $spin))
               (func (export "_start") (drop (call $spawn (i32.const 0))) (call $park))"#,
        ),
    );
    let before = host_threads();
    for round in 0..30 * rounds() {
        let group = builder(&engine, &module, &Arc::default())
            .limits(
                Limits::new()
                    .threads(40)
                    .timeout(Duration::from_micros((round as u64 % 60) * 250)),
            )
            .pool(if round % 2 == 0 {
                Pool::new()
            } else {
                Pool::new().idle(0)
            })
            .build()
            .unwrap();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
        assert_eq!(group.handle().threads(), []);
        assert!(gone_back_to(before));
    }
}

/// A thread exits while main spawns others as fast as it can, each of which ends at once.
#[test]
fn a_spawning_main_ends_at_once() {
    let _alone = alone();
    let _dog = watchdog("a_spawning_main_ends_at_once", 300);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "exit_noted" (func $exit_noted)) {PRELUDE}
             (func (export "wasi_thread_start") (param i32) (param $arg i32)
               (if (local.get $arg) (then (call $sleep (i32.const 20)) (call $exit_noted))))
             (func (export "_start")
               (drop (call $spawn (i32.const 1)))
               (loop $l (drop (call $spawn (i32.const 0))) (br $l))))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let noted = Arc::new(Mutex::new(None));
    let mut linker = linker(&engine);
    let note = Arc::clone(&noted);
    linker
        .func_wrap("host", "exit_noted", move || -> wasmtime::Result<()> {
            *note.lock().unwrap() = Some(Instant::now());
            Err(Exit(7).into())
        })
        .unwrap();
    let before = host_threads();
    let rounds = if long() { 200 } else { 10 };
    for limit in [None, Some(8)] {
        let mut times = Vec::new();
        for _ in 0..rounds {
            let mut limits = Limits::new();
            if let Some(limit) = limit {
                limits = limits.threads(limit);
            }
            let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker.clone())
                .exit_code(|error| error.downcast_ref::<Exit>().map(|exit| exit.0))
                .limits(limits)
                .state(data_of(&Arc::default()))
                .build()
                .unwrap();
            let outcome = group.run("_start").unwrap();
            let returned = Instant::now();
            assert!(matches!(outcome, Outcome::Exited(7)), "{outcome:?}");
            times.push(returned - noted.lock().unwrap().take().unwrap());
            assert!(gone_back_to(before));
        }
        let (median, worst) = median_and_worst(times);
        eprintln!(
            "exit while main spawns, limit {limit:?}: median {median:?}, worst {worst:?} of {rounds}"
        );
        assert!(median < slower(Duration::from_millis(500)));
    }
}

/// Resident memory of this process, in KiB.
#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Nothing is left of groups that run one after another in one process, each with threads that are
/// parked, spin or have ended. 10,000 in the long form.
#[cfg(target_os = "linux")]
#[test]
fn many_groups_leave_nothing() {
    let _alone = alone();
    let _dog = watchdog("many_groups_leave_nothing", 900);
    let engine = engine();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "wasi_thread_start") (param i32) (param $arg i32)
                 (call $signal (i32.const 0))
                 (if (i32.eq (local.get $arg) (i32.const 1)) (then (call $park)))
                 (if (i32.eq (local.get $arg) (i32.const 2)) (then (call $spin))))
               (func (export "_start")
                 (drop (call $spawn (i32.const 0)))
                 (drop (call $spawn (i32.const 1)))
                 (drop (call $spawn (i32.const 2)))
                 (call $await (i32.const 0) (i32.const 3)))"#,
        ),
    );
    let groups = if long() { 10_000 } else { less(600, 120) };
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let (threads_before, descriptors_before) = (host_threads(), descriptors());
    let mut after_100 = 0;
    for round in 0..groups {
        if round == 100 {
            after_100 = resident();
        }
        let group = builder(&engine, &module, &Arc::default()).build().unwrap();
        assert!(matches!(group.run("_start"), Ok(Outcome::Returned)));
    }
    let at_end = resident();
    eprintln!("{groups} groups: {after_100} KiB after 100, {at_end} KiB at the end");
    // An emulator keeps something for each address and each thread that there ever was.
    assert!(
        emulated() || at_end < after_100 + 16 * 1024,
        "{after_100} KiB, then {at_end} KiB"
    );
    assert!(gone_back_to(threads_before));
    assert_eq!(descriptors(), descriptors_before);
}

/// A group that is dropped before it runs, and one that is dropped in a panic of its runner.
#[test]
fn dropping_a_group_ends_it() {
    let _alone = alone();
    let _dog = watchdog("dropping_a_group_ends_it", 60);
    let engine = engine();
    let module = Door::Prepared.module(&engine, &guest(r#"(func (export "_start"))"#));
    let ended = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&ended);
    let group = builder(&engine, &module, &Arc::default())
        .on_end(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    let handle = group.handle();
    drop(group);
    assert!(matches!(handle.outcome(), Some(Outcome::Cancelled)));
    assert_eq!(ended.load(Ordering::SeqCst), 1);

    // The group's threads run, and the thread that runs it panics.
    let before = host_threads();
    let module = Door::Prepared.module(
        &engine,
        &guest(
            r#"(func (export "f") (drop (call $spawn (i32.const 0))))
        (func (export "wasi_thread_start") (param i32 i32) (call $spin))"#,
        ),
    );
    let reactor = builder(&engine, &module, &Arc::default())
        .build()
        .unwrap()
        .into_reactor()
        .unwrap();
    let handle = reactor.handle();
    let runner = std::thread::spawn(move || {
        reactor.call::<(), ()>("f", ()).unwrap();
        panic!("its runner panics");
    });
    assert!(runner.join().is_err());
    assert!(matches!(handle.outcome(), Some(Outcome::Cancelled)));
    assert!(gone_back_to(before));
}

/// No backtrace is taken of a thread that its group's end unwinds. With debug information that
/// would take milliseconds, for each of perhaps a thousand threads.
#[test]
fn the_end_takes_no_backtraces() {
    let _alone = alone();
    let _dog = watchdog("the_end_takes_no_backtraces", 60);
    let engine = engine();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "back" (func $back (param i32))) {PRELUDE}
             (func (export "park") (call $count) (call $park))
             (func (export "spin") (call $count) (call $spin))
             (func (export "wasi_thread_start") (param i32) (param $which i32)
               (call $back (local.get $which)))
             (func (export "_start")
               (drop (call $spawn (i32.const 0)))
               (drop (call $spawn (i32.const 1)))
               (call $park)))"#
    ))
    .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let frames = Arc::new(Mutex::new(Vec::new()));
    let mut linker = linker(&engine);
    let seen = Arc::clone(&frames);
    linker
        .func_wrap(
            "host",
            "back",
            move |mut caller: wasmtime::Caller<'_, Data>, which: i32| -> wasmtime::Result<()> {
                let name = ["park", "spin"][which as usize];
                let function = caller
                    .get_export(name)
                    .and_then(wasmtime::Extern::into_func);
                let result = function
                    .unwrap()
                    .typed::<(), ()>(&caller)?
                    .call(&mut caller, ());
                let error = result.unwrap_err();
                assert!(error.is::<wasi_threads::GroupEnded>(), "{error:?}");
                let backtrace = error.downcast_ref::<wasmtime::WasmBacktrace>();
                seen.lock()
                    .unwrap()
                    .push(backtrace.map(|trace| trace.frames().len()));
                Err(error)
            },
        )
        .unwrap();
    let log = Arc::<Log>::default();
    let group = wasi_threads::ThreadGroup::builder(&engine, &module, linker)
        .state(data_of(&log))
        .build()
        .unwrap();
    let handle = group.handle();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(eventually(Duration::from_secs(30), || {
                log.count.load(Ordering::SeqCst) == 2
            }));
            std::thread::sleep(Duration::from_millis(10));
            handle.cancel();
        });
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    });
    assert_eq!(*frames.lock().unwrap(), [Some(0), Some(0)]);
}
