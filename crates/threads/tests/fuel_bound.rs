//! The bound of a fuel limit: never more is consumed than the limit and, for each thread, one
//! block. And the stacks on which threads with fuel run.
#![cfg(feature = "async")]

mod support;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use support::*;
use wasi_threads::{
    GroupError, HOST_STACK_HEADROOM, Limits, Outcome, Report, SpawnError, ThreadGroup, ThreadId,
    ThreadModule, ThreadState,
};
use wasmtime::{Caller, Config, Engine, OptLevel, Trap};

fn fuel_config() -> Config {
    let mut config = config();
    config.consume_fuel(true);
    // So that blocks of a million instructions compile quickly.
    config.cranelift_opt_level(OptLevel::None);
    config
}

fn assert_out_of_fuel(outcome: &Outcome) {
    let Outcome::Trapped { trap, .. } = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(*trap, Some(Trap::OutOfFuel));
}

/// How many threads work, with main.
const THREADS: u64 = 16;

/// What a thread does in each round, besides its block.
const WAYS: [(&str, &str); 3] = [
    ("plain", ""),
    ("sleeping", "(call $sleep (i32.const 2))"),
    ("calling", "(call $count)"),
];

/// A guest whose threads do rounds of `work` and count them. Each thread counts in a word of its
/// own, from 1024 on. One round is one block, and a counted round was done. For each of [`WAYS`] it
/// exports a program of all threads that work for ever, and two of main alone, of two and of three
/// rounds.
fn working(work: &str) -> String {
    let mut exports = String::new();
    let mut way_of_round = String::new();
    for (number, (way, call)) in WAYS.iter().enumerate() {
        way_of_round +=
            &format!("(if (i32.eq (local.get $way) (i32.const {number})) (then {call}))");
        let spawns: String = (1..THREADS)
            .map(|thread| {
                format!(
                    "(drop (call $spawn (i32.const {})))",
                    number as u64 * 256 + thread
                )
            })
            .collect();
        let work = |rounds| {
            format!("(call $work (i32.const 0) (i32.const {number}) (i32.const {rounds}))")
        };
        exports += &format!(
            r#"(func (export "{way}") {spawns} {}) (func (export "{way} 2") {}) (func (export "{way} 3") {})"#,
            work(0),
            work(2),
            work(3)
        );
    }
    format!(
        r#"(func $work (param $i i32) (param $way i32) (param $rounds i32) (local $at i32)
             (local.set $at (i32.mul (local.get $i) (i32.const 8)))
             (loop $l
               {work}
               (i32.store offset=1024 (local.get $at)
                 (i32.add (i32.load offset=1024 (local.get $at)) (i32.const 1)))
               {way_of_round}
               (br_if $l (i32.or
                 (i32.eqz (local.get $rounds))
                 (i32.lt_u (i32.load offset=1024 (local.get $at)) (local.get $rounds))))))
           (func (export "wasi_thread_start") (param i32) (param $arg i32)
             (call $work (i32.and (local.get $arg) (i32.const 255))
               (i32.shr_u (local.get $arg) (i32.const 8)) (i32.const 0)))
           {exports}"#
    )
}

fn module(engine: &Engine, body: &str) -> ThreadModule {
    Door::Prepared.module(engine, &guest(body))
}

/// How often each thread has done its work.
fn counted(group: &ThreadGroup<Data>) -> Vec<u64> {
    let memory = group.host_memory().unwrap();
    let word = |thread: u64| memory.load32(1024 + 8 * thread).unwrap();
    (0..THREADS).map(word).map(u64::from).collect()
}

fn run(
    engine: &Engine,
    module: &ThreadModule,
    export: &str,
    fuel: u64,
) -> (Outcome, u64, ThreadGroup<Data>) {
    let group = builder(engine, module, &Arc::default())
        .limits(Limits::new().fuel(fuel))
        .build()
        .unwrap();
    let outcome = group.run(export).unwrap();
    // The fuel may end while main is still spawning.
    let failures = group.spawn_failures();
    assert!(
        matches!(failures.last, None | Some(SpawnError::Ended)),
        "{failures:?} {outcome:?}"
    );
    let left = group.fuel_left().unwrap();
    (outcome, left, group)
}

/// What one round costs.
fn units(engine: &Engine, module: &ThreadModule, way: &str) -> u64 {
    const PLENTY: u64 = 1 << 40;
    let used = |rounds| {
        let (outcome, left, _) = run(engine, module, &format!("{way} {rounds}"), PLENTY);
        assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
        PLENTY - left
    };
    used(3) - used(2)
}

/// Runs sixteen threads until there is no fuel, and checks how much they have consumed.
fn check_bound(engine: &Engine, module: &ThreadModule, way: &str, fuel: u64) {
    let block = units(engine, module, way);
    let (outcome, left, group) = run(engine, module, way, fuel);
    assert_out_of_fuel(&outcome);
    let counts = counted(&group);
    let consumed = counts.iter().sum::<u64>() * block;
    let line = format!(
        "{way}: a limit of {fuel}, blocks of {block}: {consumed} consumed, {left} left, rounds {counts:?}"
    );
    eprintln!("{line}");
    assert!(consumed <= fuel + THREADS * block, "{line}");
    // Entries and spawns cost some as well.
    let unused = fuel / 8 + 10_000;
    assert!(consumed + unused >= fuel, "{line}");
    assert!(left <= fuel / 8, "{line}");
}

/// How much smaller blocks and limits are in an emulator.
fn scale() -> u64 {
    less(1, 20)
}

/// A million instructions, of which each costs a unit; in an emulator fewer.
fn a_million() -> String {
    "(drop (i32.const 0)) ".repeat(1_000_000 / scale() as usize)
}

/// For any block, whether threads run one at a time or all at once.
#[test]
fn no_more_is_consumed_than_the_limit_and_a_block_of_each_thread() {
    let _dog = watchdog(
        "no_more_is_consumed_than_the_limit_and_a_block_of_each_thread",
        300,
    );
    let engine = Engine::new(&fuel_config()).unwrap();
    let long = module(&engine, &working(&a_million()));
    // Threads that sleep in a block are all in one at a time.
    for fuel in [1_000, 3_000_000, 100_000_000] {
        check_bound(&engine, &long, "sleeping", fuel / scale());
    }
    check_bound(&engine, &long, "plain", 400_000_000 / scale());
    check_bound(&engine, &long, "calling", 400_000_000 / scale());
    let short = module(&engine, &working(""));
    check_bound(&engine, &short, "plain", 20_000_000);
    check_bound(&engine, &short, "calling", 2_000_000);
}

/// A fill is paid for before it is done, also one that the preparation cuts in pieces: none exceeds
/// the limit.
#[test]
fn bulk_operations_are_paid_before_they_are_done() {
    let _dog = watchdog("bulk_operations_are_paid_before_they_are_done", 120);
    let engine = Engine::new(&fuel_config()).unwrap();
    let fill =
        |bytes: u32| format!("(memory.fill (i32.const 32768) (i32.const 0) (i32.const {bytes}))");
    for bytes in [200, 32_768] {
        let module = module(&engine, &working(&fill(bytes)));
        let round = units(&engine, &module, "plain");
        assert!(round >= u64::from(bytes), "{bytes}: {round}");
        let fuel = 10_000_000;
        let (outcome, _, group) = run(&engine, &module, "plain", fuel);
        assert_out_of_fuel(&outcome);
        let filled = counted(&group).iter().sum::<u64>() * u64::from(bytes);
        assert!(filled <= fuel, "{bytes}: {filled}");
        assert!(filled >= fuel / 2, "{bytes}: {filled}");
    }
}

/// An engine whose fibers leave host functions the least stack they must have.
fn tight(wasm_stack: usize) -> Engine {
    let mut config = fuel_config();
    config.max_wasm_stack(wasm_stack);
    config.async_stack_size(wasm_stack + HOST_STACK_HEADROOM);
    Engine::new(&config).unwrap()
}

/// Uses most of that least stack.
#[inline(never)]
fn use_stack(bytes: &mut [u8; 176 << 10]) {
    bytes.fill(black_box(1));
    black_box(bytes);
}

/// Recursion to the end of wasm's stack, on the smallest permitted fiber. At every depth a host
/// function uses as much stack as it can rely on.
#[test]
fn the_deepest_host_call_fits_the_smallest_fiber() {
    let _dog = watchdog("the_deepest_host_call_fits_the_smallest_fiber", 120);
    for wasm_stack in [64 << 10, 512 << 10] {
        let engine = tight(wasm_stack);
        let bytes = wat::parse_str(format!(
            r#"(module (import "host" "deep" (func $use)) {PRELUDE}
                 (func $deep (param i32) (result i32) (call $use)
                   (i32.add (call $deep (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
                 (func (export "wasi_thread_start") (param i32 i32) (drop (call $deep (i32.const 0))))
                 (func (export "main") (drop (call $deep (i32.const 0))))
                 (func (export "child") (drop (call $spawn (i32.const 0))) (call $park)))"#
        ))
        .unwrap();
        let mut linker = linker(&engine);
        let deep = |caller: Caller<'_, Data>| {
            use_stack(&mut [0; 176 << 10]);
            caller.data().log.count.fetch_add(1, Ordering::Relaxed);
        };
        linker.func_wrap("host", "deep", deep).unwrap();
        for door in DOORS {
            let module = door.module(&engine, &bytes);
            for (entry, from_main) in [("main", true), ("child", false)] {
                let log = Arc::<Log>::default();
                let group = ThreadGroup::builder(&engine, &module, linker.clone())
                    .limits(Limits::new().fuel(u64::MAX))
                    .state(data_of(&log))
                    .build()
                    .unwrap();
                let outcome = group.run(entry).unwrap();
                let Outcome::Trapped { thread, trap, .. } = &outcome else {
                    panic!("{entry}: {outcome:?}");
                };
                assert_eq!(*trap, Some(Trap::StackOverflow), "{entry}");
                assert_eq!(*thread == ThreadId::MAIN, from_main);
                assert!(log.count.load(Ordering::Relaxed) > 100);
            }
        }
    }
}

#[test]
fn a_fiber_too_small_for_host_functions_is_refused() {
    let mut config = fuel_config();
    config.max_wasm_stack(512 << 10);
    config.async_stack_size((512 << 10) + HOST_STACK_HEADROOM - 1);
    let engine = Engine::new(&config).unwrap();
    let module = module(&engine, r#"(func (export "_start"))"#);
    let build = |limits| {
        builder(&engine, &module, &Arc::default())
            .limits(limits)
            .build()
    };
    let error = build(Limits::new().fuel(1)).unwrap_err();
    assert!(
        matches!(error, GroupError::AsyncStackTooSmall { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("async_stack_size"), "{error}");
    // Without a limit no thread runs on a fiber.
    assert!(build(Limits::new()).is_ok());
}

/// A host function that calls wasm must do it asynchronously, or gets an error.
#[test]
fn host_functions_call_wasm_asynchronously() {
    let _dog = watchdog("host_functions_call_wasm_asynchronously", 60);
    let engine = Engine::new(&fuel_config()).unwrap();
    let bytes = wat::parse_str(format!(
        r#"(module (import "host" "sync" (func $sync)) (import "host" "async" (func $async)) {PRELUDE}
             (func (export "back") (local $i i32)
               (loop $l (br_if $l (i32.lt_u
                 (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000)))))
             (func (export "by_sync") (call $sync))
             (func (export "by_async") (call $async) (call $async)))"#
    ))
    .unwrap();
    let mut linker = linker(&engine);
    fn back(caller: &mut Caller<'_, Data>) -> wasmtime::TypedFunc<(), ()> {
        let function = caller
            .get_export("back")
            .and_then(wasmtime::Extern::into_func);
        function.unwrap().typed::<(), ()>(&mut *caller).unwrap()
    }
    linker
        .func_wrap("host", "sync", |mut caller: Caller<'_, Data>| {
            back(&mut caller).call(&mut caller, ())
        })
        .unwrap();
    linker
        .func_wrap_async("host", "async", |mut caller: Caller<'_, Data>, ()| {
            Box::new(async move { back(&mut caller).call_async(&mut caller, ()).await })
        })
        .unwrap();
    let module = Door::Prepared.module(&engine, &bytes);
    let run = |entry: &str, fuel| {
        let group = ThreadGroup::builder(&engine, &module, linker.clone())
            .limits(Limits::new().fuel(fuel))
            .state(data_of(&Arc::default()))
            .build()
            .unwrap();
        (group.run(entry).unwrap(), group.fuel_left().unwrap())
    };
    let (outcome, _) = run("by_sync", 1_000_000);
    let Outcome::Trapped { error, .. } = &outcome else {
        panic!("{outcome:?}");
    };
    assert!(format!("{error:#}").contains("async"), "{error:#}");
    let (outcome, left) = run("by_async", 1_000_000);
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let need = 1_000_000 - left;
    assert!((10_000..30_000).contains(&need), "{need}");
    assert_out_of_fuel(&run("by_async", need / 2).0);
    assert_eq!(run("by_async", need + 5).1, 5);
}

/// Threads on fibers are seen from outside like others: where they compute, and where in wasm they
/// called the host.
#[test]
fn threads_with_fuel_have_backtraces() {
    // Nor can threads be looked at there.
    if !wasi_threads::Termination::CAN_EXIT {
        return;
    }
    let _dog = watchdog("threads_with_fuel_have_backtraces", 120);
    let mut config = fuel_config();
    config.epoch_interruption(false);
    let engine = Engine::new(&config).unwrap();
    let body = r#"
        (func $deeper (param $n i32)
          (if (local.get $n) (then (call $deeper (i32.sub (local.get $n) (i32.const 1))))
            (else (call $count) (call $block))))
        (func $turns (call $count) (call $spin))
        (func (export "wasi_thread_start") (param i32) (param $n i32)
          (if (local.get $n) (then (call $deeper (local.get $n))) (else (call $turns))))
        (func (export "_start")
          (drop (call $spawn (i32.const 0))) (drop (call $spawn (i32.const 20)))
          (call $await (i32.const 0) (i32.const 1)))"#;
    let module = module(&engine, body);
    let log = Arc::<Log>::default();
    let group = builder(&engine, &module, &log)
        .limits(Limits::new().fuel(u64::MAX))
        .termination(wasi_threads::Termination::AtHostCalls)
        .see_threads(true)
        .build()
        .unwrap();
    let names = |report: &Report, wanted: fn(&ThreadState) -> bool| {
        let mut threads = report.threads.iter();
        let found = threads.find(|one| wanted(&one.state))?.backtrace.as_ref()?;
        let frames = found.to_frames();
        let name = |frame: &wasi_threads::Frame| frame.func_name().map(str::to_owned);
        Some(frames.iter().filter_map(name).collect::<Vec<_>>())
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").unwrap());
        let _cancels = CancelOnDrop(group.handle());
        let both = || log.count.load(Ordering::SeqCst) == 2;
        assert!(eventually(Duration::from_secs(30), both));
        let mut text = String::new();
        let seen = eventually(Duration::from_secs(60), || {
            let report = group.handle().report(Duration::from_millis(300));
            text = report.to_string();
            let computes = names(&report, |state| matches!(state, ThreadState::Running));
            let calls = names(&report, |state| {
                matches!(state, ThreadState::HostCall { .. })
            });
            computes.is_some_and(|names| names[0] == "spin" && names[1] == "turns")
                && calls.is_some_and(|names| {
                    names.iter().filter(|name| *name == "deeper").count() == 21
                })
        });
        assert!(seen, "{text}");
        group.handle().cancel();
        assert!(matches!(run.join().unwrap(), Outcome::Cancelled));
    });
}

/// Thousands of threads, each on a fiber of its own.
#[test]
fn thousands_of_threads_have_fuel() {
    let _dog = watchdog("thousands_of_threads_have_fuel", 300);
    let threads = stress().map_or(less(1_000_u32, 100), |_| 10_000);
    let engine = Engine::new(&fuel_config()).unwrap();
    let body = format!(
        r#"(func $work (param $n i32) (local $i i32)
             (loop $l (br_if $l (i32.lt_u
               (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))))
           (func (export "wasi_thread_start") (param i32 i32)
             (call $work (i32.const 100)) (call $signal (i32.const 0)) (call $park))
           (func (export "_start") (local $i i32)
             (loop $l
               (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
               (br_if $l (i32.lt_u
                 (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {threads}))))
             (call $await (i32.const 0) (i32.const {threads}))
             ;; All are there, and what they do not hold can be had.
             (call $work (i32.const {})))"#,
        50 * threads
    );
    let module = module(&engine, &body);
    let need = 1_000 * u64::from(threads);
    let start = Instant::now();
    let (outcome, left, group) = run(&engine, &module, "_start", 10 * need);
    drop(group);
    eprintln!("{threads} threads with fuel: {:?}", start.elapsed());
    assert!(matches!(outcome, Outcome::Returned), "{outcome:?}");
    let used = 10 * need - left;
    // About 950 for each thread, 450 of main's.
    assert!((need..3 * need).contains(&used), "{used} of {need}");
    let start = Instant::now();
    let (outcome, left, group) = run(&engine, &module, "_start", used * 9 / 10);
    drop(group);
    eprintln!("and without enough: {:?}, {left} left", start.elapsed());
    assert_out_of_fuel(&outcome);
}
