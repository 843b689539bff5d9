//! Groups whose threads are in WASI calls: asleep, reading, holding locks. `p1-adapter` does not
//! know groups; this file raises its end signal when a group ends.
#![cfg(any(target_os = "linux", windows))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use p1_adapter::{EndSignal, P1CtxBuilder, P1State, add_to_linker_sync};
use support::{Door, engine, eventually, host_threads, in_a_process, slower, stress, watchdog};
use table_sync::{Handle, Table};
use wasi_threads::{EndToken, Limits, Outcome, ThreadGroup, ThreadId, ThreadModule};
use wasmtime::{Caller, Engine, Linker, Trap};
use wasmtime_wasi::I32Exit;

/// Store data of each thread.
struct Data {
    wasi: P1State,
    token: EndToken,
    shared: Arc<Shared>,
}

/// What the host functions of a group share.
struct Shared {
    /// Calls of `host.count`.
    count: AtomicU64,
    table: Table,
    lock: Handle<u32>,
}

const PRELUDE: &str = r#"
    (import "env" "memory" (memory 1 1 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff"
      (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (import "host" "count" (func $count))
    (import "host" "panic" (func $panic))
    (import "host" "hold" (func $hold))
    (export "memory" (memory 0))
    ;; A subscription to the monotonic clock, an hour from now; an iovec of 64 bytes.
    (func $init
      (i32.store (i32.const 1032) (i32.const 0))
      (i32.store (i32.const 1040) (i32.const 1))
      (i64.store (i32.const 1048) (i64.const 3600000000000))
      (i32.store (i32.const 1200) (i32.const 4096))
      (i32.store (i32.const 1204) (i32.const 64)))
    (func $sleep (drop (call $poll (i32.const 1024) (i32.const 2048) (i32.const 1) (i32.const 1280))))
    (func $read (drop (call $fd_read (i32.const 0) (i32.const 1200) (i32.const 1) (i32.const 1284))))
    (func $park (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
    (func $spin (loop $l (br $l)))
    (func $await (param $addr i32) (param $until i32) (local $seen i32)
      (loop $l
        (local.set $seen (i32.atomic.load (local.get $addr)))
        (if (i32.lt_s (local.get $seen) (local.get $until))
          (then
            (drop (memory.atomic.wait32 (local.get $addr) (local.get $seen) (i64.const -1)))
            (br $l)))))
    (func $signal (param $addr i32)
      (drop (i32.atomic.rmw.add (local.get $addr) (i32.const 1)))
      (drop (memory.atomic.notify (local.get $addr) (i32.const -1))))
"#;

fn module(engine: &Engine, body: &str) -> ThreadModule {
    let text = format!("(module {PRELUDE} {body})");
    Door::Prepared.module(engine, &wat::parse_str(text).unwrap())
}

fn linker(engine: &Engine) -> Linker<Data> {
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker, |data: &mut Data| &mut data.wasi).unwrap();
    linker
        .func_wrap("host", "count", |caller: Caller<'_, Data>| {
            caller.data().shared.count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    linker
        .func_wrap("host", "panic", || -> () {
            panic!("the host function panicked")
        })
        .unwrap();
    // The first thread holds the entry's lock until the group ends, and the others wait for it.
    linker
        .func_wrap("host", "hold", |caller: Caller<'_, Data>| {
            let Data { token, shared, .. } = caller.data();
            let _held = shared.table.get_mut(&shared.lock).unwrap();
            token.wait();
        })
        .unwrap();
    linker
}

/// A group on the process's stdin.
fn group(
    engine: &Engine,
    module: &ThreadModule,
    linker: &Linker<Data>,
    limits: Limits,
) -> (ThreadGroup<Data>, Arc<Shared>) {
    let end = EndSignal::new();
    let mut wasi = P1CtxBuilder::new();
    wasi.inherit_stdin().end_signal(end.clone());
    let wasi = wasi.build().unwrap();
    let table = Table::new();
    let lock = table.push(0_u32).unwrap();
    let shared = Arc::new(Shared {
        count: AtomicU64::new(0),
        table,
        lock,
    });
    let data = Arc::clone(&shared);
    let group = ThreadGroup::builder(engine, module, linker.clone())
        .limits(limits)
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
        .on_end(move || end.raise())
        .state(move |thread| Data {
            wasi: match thread.memory() {
                Some(memory) => P1State::with_memory(wasi.clone(), memory.clone()),
                None => P1State::new(wasi.clone()),
            },
            token: thread.token().clone(),
            shared: Arc::clone(&data),
        })
        .build()
        .unwrap();
    (group, shared)
}

/// From the cancellation of `threads` threads that all do `what` to the return of `run`, median and
/// worst.
fn times_to_end(threads: u32, what: &str, rounds: usize) -> (Duration, Duration) {
    let engine = engine();
    let module = module(
        &engine,
        &format!(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (call $signal (i32.const 0))
                 (call $await (i32.const 0) (i32.const {threads}))
                 {what} (unreachable))
               (func (export "_start") (local $i i32)
                 (call $init)
                 (loop $l
                   (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {threads}))))
                 (call $await (i32.const 0) (i32.const {threads}))
                 (call $count)
                 {what} (unreachable))"#
        ),
    );
    let linker = linker(&engine);
    let before = host_threads();
    let mut times = Vec::new();
    for _ in 0..rounds {
        let (group, shared) = group(&engine, &module, &linker, Limits::new());
        let handle = group.handle();
        std::thread::scope(|scope| {
            let ender = scope.spawn(|| {
                assert!(eventually(Duration::from_secs(60), || {
                    shared.count.load(Ordering::SeqCst) == 1
                }));
                // Long enough for all threads to get where they are going.
                std::thread::sleep(Duration::from_millis(50));
                let ended = Instant::now();
                assert!(handle.cancel());
                ended
            });
            let outcome = group.run("_start").unwrap();
            let returned = Instant::now();
            assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
            times.push(returned - ender.join().unwrap());
        });
        assert!(eventually(Duration::from_secs(5), || host_threads() <= before));
    }
    let (median, worst) = support::median_and_worst(times);
    eprintln!("{threads} threads, {what}: median {median:?}, worst {worst:?} of {rounds}");
    (median, worst)
}

#[test]
fn sleeping_threads_end_at_once() {
    let name = "sleeping_threads_end_at_once";
    if in_a_process(name, "true") {
        let _dog = watchdog(name, 300);
        let long = stress().is_some();
        let (threads, rounds) = if long { (1000, 20) } else { (200, 3) };
        let (median, _) = times_to_end(threads, "(call $sleep)", rounds);
        assert!(median < slower(Duration::from_millis(500)), "{median:?}");
    }
}

#[test]
fn threads_reading_one_stdin_end_at_once() {
    let name = "threads_reading_one_stdin_end_at_once";
    if in_a_process(name, "true") {
        let _dog = watchdog(name, 300);
        let rounds = if stress().is_some() { 20 } else { 3 };
        let (median, _) = times_to_end(100, "(call $read)", rounds);
        assert!(median < slower(Duration::from_millis(500)), "{median:?}");
    }
}

/// What one thread does to end the group, or itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Returns,
    Exits,
    Traps,
    Panics,
}

const CAUSES: [(Cause, &str); 4] = [
    (Cause::Returns, "(return)"),
    (Cause::Exits, "(call $exit (i32.const 7))"),
    (Cause::Traps, "(unreachable)"),
    (Cause::Panics, "(call $panic)"),
];

/// What the other threads do meanwhile.
const OTHERS: [&str; 6] = [
    "(call $spin)",
    "(call $park)",
    "(call $sleep)",
    "(call $read)",
    // Each new thread ends at once.
    "(loop $l (drop (call $spawn (i32.const 3))) (br $l))",
    "(call $hold)",
];

fn check(cause: Cause, from_main: bool, outcome: &Outcome, context: &str) {
    let context = format!("{context}: {outcome:?}");
    let is_cause = |thread: ThreadId| assert_eq!(thread == ThreadId::MAIN, from_main, "{context}");
    match (cause, outcome) {
        (Cause::Returns, Outcome::Returned) if from_main => {}
        // A child's return ends only the child. The group goes on, here until the time limit.
        (Cause::Returns, Outcome::TimedOut) if !from_main => {}
        (Cause::Exits, Outcome::Exited(7)) => {}
        (Cause::Traps, Outcome::Trapped { thread, trap, .. }) => {
            assert_eq!(*trap, Some(Trap::UnreachableCodeReached), "{context}");
            is_cause(*thread);
        }
        (Cause::Panics, Outcome::Panicked { thread, message }) => {
            assert_eq!(message, "the host function panicked", "{context}");
            is_cause(*thread);
        }
        _ => panic!("{context}"),
    }
}

/// Every cause, from main and from a child, with two other threads in every state. 100 times each
/// in the long form.
#[test]
fn every_cause_in_every_company() {
    let name = "every_cause_in_every_company";
    if !in_a_process(name, "true") {
        return;
    }
    let rounds = stress().unwrap_or(2);
    let _dog = watchdog(name, 60 + 20 * u64::from(rounds));
    std::panic::set_hook(Box::new(|info| {
        if info.payload_as_str() != Some("the host function panicked") {
            eprintln!("{info}");
        }
    }));
    let engine = engine();
    let linker = linker(&engine);
    let mut right = 0;
    for other in OTHERS {
        for (cause, code) in CAUSES {
            for from_main in [true, false] {
                let (main, child) = if from_main {
                    (code, other)
                } else {
                    (other, code)
                };
                // Argument 0: does `other` after it has signalled; 1: the child of this round; 3:
                // ends at once. Where `other` spawns, all places may be taken for a moment.
                let module = module(
                    &engine,
                    &format!(
                        r#"(func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
                             (if (i32.eq (local.get $arg) (i32.const 3)) (then (return)))
                             (call $signal (i32.const 0))
                             (if (i32.eqz (local.get $arg)) (then {other}))
                             (call $await (i32.const 0) (i32.const 3))
                             {child})
                           (func $must (param $arg i32)
                             (loop $refused
                               (br_if $refused
                                 (i32.lt_s (call $spawn (local.get $arg)) (i32.const 0)))))
                           (func (export "_start")
                             (call $init)
                             (call $must (i32.const 0))
                             (call $must (i32.const 0))
                             (call $must (i32.const 1))
                             (call $await (i32.const 0) (i32.const 3))
                             {main})"#
                    ),
                );
                let mut limits = Limits::new()
                    .threads(8)
                    .spawn_wait(Duration::from_millis(1));
                if cause == Cause::Returns && !from_main {
                    limits = limits.timeout(Duration::from_millis(30));
                }
                // By now Wasmtime's compiler threads exist, and stay.
                let before = host_threads();
                for _ in 0..rounds {
                    let (group, _) = group(&engine, &module, &linker, limits.clone());
                    let outcome = group.run("_start").unwrap();
                    let context = format!("{cause:?}, from main {from_main}, {other}");
                    check(cause, from_main, &outcome, &context);
                    right += 1;
                }
                assert!(eventually(Duration::from_secs(5), || host_threads() <= before));
            }
        }
    }
    eprintln!("the right outcome {right} times: {rounds} times each");
}
