//! Groups with `Termination::ProcessExit`: threads stop where they are. And how threads look from
//! outside.
#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]

#[path = "../../../tests/support/seccomp.rs"]
mod seccomp;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use support::{Data, Log, builder, eventually, guest, in_a_process, left_out, less, watchdog};
use wasi_threads::{
    CallError, GroupBuilder, Limits, Outcome, RunError, Termination, ThreadGroup, ThreadState,
    prepare,
};
use wasmtime::{Config, Engine};

fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_threads(true).shared_memory(true);
    Engine::new(&config).unwrap()
}

fn freezing(body: &str) -> GroupBuilder<Data> {
    let engine = engine();
    let module = prepare(&engine, &guest(body)).unwrap();
    builder(&engine, &module, &Arc::<Log>::default())
        .termination(Termination::ProcessExit)
        .grace(Duration::from_secs(20))
}

/// A guest whose main thread starts `threads` that count at 4096 + 64 * id once all run. Every
/// other one also does a `memory.fill` of 1 MiB. Then main does `last`.
fn counters(threads: u32, last: &str) -> String {
    format!(
        r#"(func (export "wasi_thread_start") (param $id i32) (param i32)
             (local $at i32)
             (local.set $at (i32.add (i32.const 4096) (i32.shl (local.get $id) (i32.const 6))))
             (call $signal (i32.const 128))
             (call $await (i32.const 192) (i32.const 1))
             (loop $l
               (if (i32.and (local.get $id) (i32.const 1))
                 (then (memory.fill (i32.const 1048576) (local.get $id) (i32.const 1048576))))
               (i64.store (local.get $at) (i64.add (i64.load (local.get $at)) (i64.const 1)))
               (br $l)))
           (func (export "_start") (local $i i32)
             (drop (memory.grow (i32.const 63)))
             (loop $l
               (drop (call $spawn (i32.const 0)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $l (i32.lt_u (local.get $i) (i32.const {threads}))))
             (call $await (i32.const 128) (i32.const {threads}))
             (call $signal (i32.const 192))
             {last})"#
    )
}

fn sum(group: &ThreadGroup<Data>, threads: u32) -> Vec<u64> {
    let memory = group.host_memory().unwrap();
    let counter = |id: u32| memory.load64(4096 + 64 * u64::from(id)).unwrap();
    let bytes = wasi_threads::memory::bytes(group.memory().unwrap(), 1 << 20, 1 << 20).unwrap();
    let filled = bytes
        .iter()
        .step_by(4093)
        .map(|byte| u64::from(byte.load(std::sync::atomic::Ordering::Relaxed)));
    (1..=threads).map(counter).chain([filled.sum()]).collect()
}

/// Ends `threads` that compute and fill, by `last`, the limits or `cancel`, and checks that nothing
/// changes any more.
fn nothing_moves(threads: u32, last: &str, limits: Limits, cancel: bool) -> Outcome {
    let group = freezing(&counters(threads, last)).limits(limits);
    ends_without_a_move(group.build().unwrap(), threads, cancel)
}

fn ends_without_a_move(group: ThreadGroup<Data>, threads: u32, cancel: bool) -> Outcome {
    let handle = group.handle();
    let memory = group.host_memory().unwrap();
    let canceller = cancel.then(|| {
        std::thread::spawn(move || {
            // The threads have been released, and had a moment to run.
            let released = || memory.load32(192).unwrap() != 0;
            assert!(eventually(Duration::from_secs(60), released));
            std::thread::sleep(Duration::from_millis(200));
            handle.cancel();
        })
    });
    let outcome = group.run("_start").unwrap();
    let then = sum(&group, threads);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(then, sum(&group, threads), "{outcome:?}");
    assert!(group.left_behind().is_empty(), "{:?}", group.left_behind());
    if let Some(canceller) = canceller {
        canceller.join().unwrap();
    }
    drop(group);
    outcome
}

const SPIN: &str = "(loop $x (br $x))";
const EXIT: &str = "(call $exit (i32.const 7))";

#[test]
fn nothing_moves_after_an_exit() {
    if in_a_process("nothing_moves_after_an_exit", "true") {
        let _dog = watchdog("nothing_moves_after_an_exit", 120);
        for threads in [8, less(300, 40)] {
            let outcome = nothing_moves(threads, EXIT, Limits::new(), false);
            assert!(matches!(outcome, Outcome::Exited(7)), "{outcome:?}");
        }
    }
}

#[test]
fn nothing_moves_after_a_trap() {
    if in_a_process("nothing_moves_after_a_trap", "true") {
        let _dog = watchdog("nothing_moves_after_a_trap", 120);
        let outcome = nothing_moves(8, "(unreachable)", Limits::new(), false);
        assert!(matches!(outcome, Outcome::Trapped { .. }), "{outcome:?}");
    }
}

#[test]
fn nothing_moves_after_a_timeout_or_a_cancellation() {
    if in_a_process("nothing_moves_after_a_timeout_or_a_cancellation", "true") {
        let _dog = watchdog("nothing_moves_after_a_timeout", 120);
        // The threads run by then.
        let limits = Limits::new().timeout(Duration::from_millis(less(300, 20_000)));
        let outcome = nothing_moves(8, SPIN, limits, false);
        assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
        let outcome = nothing_moves(less(300, 40), SPIN, Limits::new(), true);
        assert!(matches!(outcome, Outcome::Cancelled), "{outcome:?}");
    }
}

/// Ends groups with so many threads each, by `last` or a cancellation, while a filter refuses these
/// calls.
fn nothing_moves_without(
    calls: &[seccomp::Refused],
    program: impl Fn(u32, &str) -> String,
    ends: &[(u32, &str, bool)],
) {
    if left_out("it has no filters of system calls") {
        return;
    }
    // A filter stays, so every module has to be loaded before.
    let group = |&(threads, last, cancel)| {
        let limits = Limits::new().timeout(Duration::from_secs(60));
        let group = freezing(&program(threads, last)).limits(limits);
        (group.build().unwrap(), threads, last, cancel)
    };
    let groups: Vec<_> = ends.iter().map(group).collect();
    seccomp::refuse(calls);
    for (group, threads, last, cancel) in groups {
        let outcome = ends_without_a_move(group, threads, cancel);
        let right = match &outcome {
            Outcome::Exited(7) => last == EXIT,
            Outcome::Trapped { .. } => last == "(unreachable)",
            Outcome::Cancelled => cancel,
            _ => false,
        };
        assert!(right, "{outcome:?}");
    }
}

/// If a filter refuses to take execute permission, a copy that is not executable takes the code's
/// place.
#[test]
fn nothing_moves_where_code_cannot_be_protected() {
    if in_a_process("nothing_moves_where_code_cannot_be_protected", "true") {
        let _dog = watchdog("nothing_moves_where_code_cannot_be_protected", 120);
        let ends = [
            (8, EXIT, false),
            (300, EXIT, false),
            (8, "(unreachable)", false),
            (300, SPIN, true),
        ];
        nothing_moves_without(&[seccomp::READ_ONLY], counters, &ends);
    }
}

/// Without `membarrier` words may be read too early, and are read again.
#[test]
fn nothing_moves_without_membarrier() {
    if in_a_process("nothing_moves_without_membarrier", "true") {
        let _dog = watchdog("nothing_moves_without_membarrier", 120);
        let ends = [(8, EXIT, false), (300, EXIT, false), (300, SPIN, true)];
        nothing_moves_without(&[seccomp::MEMBARRIER], counters, &ends);
    }
}

/// If neither is allowed, each thread gets signals until it is found in wasm. A thread that fills
/// memory again and again is hardly ever found there, so there is none here.
#[test]
fn nothing_moves_where_code_cannot_be_replaced() {
    if in_a_process("nothing_moves_where_code_cannot_be_replaced", "true") {
        let _dog = watchdog("nothing_moves_where_code_cannot_be_replaced", 120);
        let ends = [
            (50, EXIT, false),
            (6, "(unreachable)", false),
            (50, SPIN, true),
        ];
        let fill = "(memory.fill (i32.const 1048576) (local.get $id) (i32.const 1048576))";
        let program = |threads, last: &str| counters(threads, last).replace(fill, "(nop)");
        nothing_moves_without(&[seccomp::READ_ONLY, seccomp::MREMAP], program, &ends);
    }
}

/// A thread in a host call that ignores the end has the grace period, once, and is named.
#[test]
fn a_host_call_has_its_grace_once() {
    if in_a_process("a_host_call_has_its_grace_once", "true") {
        let _dog = watchdog("a_host_call_has_its_grace_once", 60);
        let body = r#"(func (export "wasi_thread_start") (param i32 i32)
                        (call $signal (i32.const 128)) (call $sleep (i32.const 20000)))
                      (func (export "_start")
                        (drop (call $spawn (i32.const 0)))
                        (call $await (i32.const 128) (i32.const 1))
                        (call $sleep (i32.const 50))
                        (call $exit (i32.const 3)))"#;
        let grace = Duration::from_secs(less(1, 4));
        let group = freezing(body).grace(grace);
        // The group's own functions write a word; the embedder's function here does not.
        let group = group.build().unwrap();
        let began = Instant::now();
        let outcome = group.run("_start").unwrap();
        assert!(matches!(outcome, Outcome::Exited(3)), "{outcome:?}");
        let left = group.left_behind();
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].thread.get(), 1);
        drop(group);
        let took = began.elapsed();
        assert!(took < grace * 19 / 10, "{took:?}");
    }
}

/// The same with epochs. Dropping the group once waited for the grace period again.
#[test]
fn a_joined_group_gives_its_grace_once() {
    let _dog = watchdog("a_joined_group_gives_its_grace_once", 60);
    let engine = support::engine();
    let body = r#"(func (export "wasi_thread_start") (param i32 i32)
                    (call $signal (i32.const 128)) (call $sleep (i32.const 20000)))
                  (func (export "_start")
                    (drop (call $spawn (i32.const 0)))
                    (call $await (i32.const 128) (i32.const 1)))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let grace = Duration::from_secs(less(1, 4));
    let group = builder(&engine, &module, &Arc::<Log>::default())
        .grace(grace)
        .build()
        .unwrap();
    let began = Instant::now();
    group.run("_start").unwrap();
    assert_eq!(group.left_behind().len(), 1);
    drop(group);
    let took = began.elapsed();
    assert!(took < grace * 19 / 10, "{took:?}");
}

/// Some threads compute, some wait, some are in a host call with a name or in one without. Without
/// epochs, each has its stack in the report, and goes on.
#[test]
fn threads_are_seen_from_outside() {
    let _dog = watchdog("threads_are_seen_from_outside", 60);
    let engine = engine();
    let body = r#"(func $deep (param $n i32) (param $what i32)
                    (if (local.get $n)
                      (then (call $deep (i32.sub (local.get $n) (i32.const 1)) (local.get $what)))
                      (else (call $at_last (local.get $what)))))
                  (func $at_last (param $what i32)
                    (call $signal (i32.const 128))
                    (if (i32.eqz (local.get $what)) (then (call $turn)))
                    (if (i32.eq (local.get $what) (i32.const 1)) (then (call $park)))
                    (if (i32.eq (local.get $what) (i32.const 2)) (then (call $block))))
                  (func $turn (loop $l (br_if $l (i32.eqz (i32.atomic.load (i32.const 320))))))
                  (func (export "wasi_thread_start") (param i32) (param $what i32)
                    (call $deep (i32.const 3) (local.get $what)))
                  (func (export "_start")
                    (drop (call $spawn (i32.const 0)))
                    (drop (call $spawn (i32.const 1)))
                    (drop (call $spawn (i32.const 2)))
                    (call $await (i32.const 128) (i32.const 3))
                    (call $await (i32.const 256) (i32.const 1)))"#;
    let module = prepare(&engine, &guest(body)).unwrap();
    let group = builder(&engine, &module, &Arc::<Log>::default())
        .termination(Termination::AtHostCalls)
        .see_threads(true)
        .build()
        .unwrap();
    let group = Arc::new(group);
    let runs = std::thread::spawn({
        let group = Arc::clone(&group);
        move || group.run("_start").unwrap()
    });
    let handle = group.handle();
    let memory = group.host_memory().unwrap();
    assert!(eventually(Duration::from_secs(20), || memory
        .load32(128)
        .unwrap()
        == 3));
    let chain = ["at_last", "deep", "deep", "deep", "deep"];
    let mut right = 0;
    let reports = less(200, 20);
    for _ in 0..reports {
        let report = handle.report(Duration::from_secs(10));
        assert_eq!(report.threads.len(), 4, "{report}");
        for (thread, first) in [(1, "turn"), (2, "park"), (3, "")] {
            let one = &report.threads[thread];
            let backtrace = one.backtrace.as_ref().unwrap();
            let frames = backtrace.walked_frames().unwrap();
            let names: Vec<_> = frames
                .iter()
                .filter_map(|frame| frame.func_name())
                .collect();
            let expected: Vec<_> = [first]
                .into_iter()
                .filter(|name| !name.is_empty())
                .chain(chain)
                .collect();
            // The first reports may come before the threads are there.
            right += usize::from(names.starts_with(&expected));
            // The thread that computes may be in host code just then.
            assert!(thread == 1 || backtrace.is_scanned());
            match &one.state {
                ThreadState::Waiting(_) => assert_eq!(thread, 2),
                ThreadState::HostCall { .. } => assert_ne!(thread, 1),
                _ => {}
            }
        }
    }
    let all = 3 * reports;
    assert!(right >= all - less(30, 12), "{right} of {all}");
    // No other thread was stopped.
    memory.store32(320, 1).unwrap();
    memory.store32(256, 1).unwrap();
    memory.notify(256, 1).unwrap();
    assert!(matches!(runs.join().unwrap(), Outcome::Returned));
}

/// A group with `ProcessExit` cannot be a reactor, and one that never ran is dropped like any
/// other.
#[test]
fn a_reactor_is_refused() {
    let group = freezing(r#"(func (export "wasi_thread_start") (param i32 i32))"#);
    let refused = group.build().unwrap().into_reactor();
    assert!(matches!(
        refused.err(),
        Some(CallError::Run(RunError::OnlyToExit))
    ));
    // The module's code can still run.
    let engine = engine();
    let module = prepare(
        &engine,
        &guest(
            r#"(func (export "_start"))
        (func (export "wasi_thread_start") (param i32 i32))"#,
        ),
    )
    .unwrap();
    let build = |termination| {
        builder(&engine, &module, &Arc::<Log>::default())
            .termination(termination)
            .build()
            .unwrap()
    };
    drop(build(Termination::ProcessExit));
    let outcome = build(Termination::AtHostCalls).run("_start").unwrap();
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
}

/// The report at the time limit, with a part of the threads only.
#[test]
fn a_time_limit_says_what_threads_did() {
    if in_a_process("a_time_limit_says_what_threads_did", "true") {
        let _dog = watchdog("a_time_limit_says_what_threads_did", 60);
        // Beside a load it may take longer than the first limit until all twenty run.
        let all = [500, 3_000, 12_000, 30_000].into_iter().find_map(|limit| {
            let group = freezing(&counters(20, SPIN))
                .limits(Limits::new().timeout(Duration::from_millis(limit)))
                .report_at_timeout(5)
                .build()
                .unwrap();
            let outcome = group.run("_start").unwrap();
            assert!(matches!(outcome, Outcome::TimedOut), "{outcome:?}");
            let report = group.timeout_report().unwrap();
            assert!(report.threads.len() <= 5, "{report}");
            (report.others.count() == 16).then_some(report)
        });
        let report = all.expect("within half a minute twenty threads are there");
        assert_eq!(report.threads.len(), 5, "{report}");
        // Beside a load some threads get no processor within the report's patience.
        // `threads_are_seen_from_outside` checks all.
        let mut threads = report.threads.iter();
        assert!(threads.any(|one| one.backtrace.is_some()), "{report}");
    }
}
