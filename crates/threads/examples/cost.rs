//! What threads and calls cost, each against its plainest form in the same run:
//!
//! ```sh
//! cargo run --release -p wasi-threads --example cost [spawn | async | threads [COUNT]]
//! ```
//!
//! - `spawn`: spawn and join, one and eight at a time, with each part of the machinery switched off
//!   in turn, against host threads that do nothing. The differences are what waking, instantiating
//!   and starting a host thread cost.
//! - `async`: calls of host functions in a group with and without async functions.
//! - `threads`: resident memory, mappings and descriptors of each parked thread (Linux).
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use wasi_threads::{Limits, Outcome, Pool, ThreadGroup, ThreadModule, prepare};
use wasmtime::{Config, Engine, Linker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const PRELUDE: &str = r#"
    (import "env" "memory" (memory 1 1 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "host" "mark" (func $mark))
    (import "host" "sync" (func $sync (param i32) (result i32)))
    (import "host" "ready" (func $ready (param i32) (result i32)))
    (export "memory" (memory 0))
    (func $await (param $until i32) (local $seen i32)
      (loop $l
        (local.set $seen (i32.atomic.load (i32.const 0)))
        (if (i32.lt_s (local.get $seen) (local.get $until))
          (then
            (drop (memory.atomic.wait32 (i32.const 0) (local.get $seen) (i64.const -1)))
            (br $l)))))"#;

fn engine() -> Result<Engine> {
    let mut config = Config::new();
    config.shared_memory(true).epoch_interruption(true);
    Ok(Engine::new(&config)?)
}

fn module(engine: &Engine, body: &str) -> Result<ThreadModule> {
    let bytes = wat::parse_str(format!("(module {PRELUDE} {body})"))?;
    Ok(prepare(engine, &bytes)?)
}

/// The moments at which the guest called `mark`.
type Marks = Arc<Mutex<Vec<Instant>>>;

fn linker(engine: &Engine, marks: &Marks, with_async: bool) -> Result<Linker<()>> {
    let mut linker = Linker::new(engine);
    let marks = Arc::clone(marks);
    linker.func_wrap("host", "mark", move || {
        marks.lock().expect("no panic").push(Instant::now());
    })?;
    linker.func_wrap("host", "sync", |n: i32| n.wrapping_add(1))?;
    if with_async {
        linker.func_wrap_async("host", "ready", |_, (n,): (i32,)| {
            Box::new(async move { n.wrapping_add(1) })
        })?;
    } else {
        linker.func_wrap("host", "ready", |n: i32| n.wrapping_add(1))?;
    }
    Ok(linker)
}

/// Runs `_start`, and returns the time between its two marks.
fn run(engine: &Engine, module: &ThreadModule, pool: Pool, with_async: bool) -> Result<Duration> {
    let marks = Marks::default();
    let group = ThreadGroup::builder(engine, module, linker(engine, &marks, with_async)?)
        .pool(pool)
        .limits(Limits::new().timeout(Duration::from_secs(120)))
        .async_host_functions(with_async)
        .state(|_| ())
        .build()?;
    let outcome = group.run("_start")?;
    if !matches!(outcome, Outcome::Returned) {
        return Err(format!("{outcome:?}, {:?}", group.spawn_failures()).into());
    }
    let marks = marks.lock().expect("no panic");
    Ok(marks[1] - marks[0])
}

/// Runs each of `sides` in turn, `ROUNDS` times over, and prints medians, in `per` nanoseconds.
fn compare(title: &str, per: u32, sides: &[(&str, &dyn Fn() -> Result<Duration>)]) -> Result<()> {
    const ROUNDS: usize = 9;
    let mut times = vec![Vec::new(); sides.len()];
    for _ in 0..ROUNDS {
        for (side, times) in sides.iter().zip(&mut times) {
            times.push(side.1()? / per);
        }
    }
    println!("{title}");
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let first = median(&mut times[0]).as_nanos().max(1);
    for ((name, _), times) in sides.iter().zip(&mut times) {
        let ns = median(times).as_nanos();
        println!("  {name:44} {ns:8} ns  {:6.2}x", ns as f64 / first as f64);
    }
    Ok(())
}

const SPAWNS: u32 = 4000;

fn spawn(engine: &Engine) -> Result<()> {
    for batch in [1, 8] {
        let joins = module(
            engine,
            &format!(
                r#"(func (export "wasi_thread_start") (param i32 i32)
                     (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
                     (drop (memory.atomic.notify (i32.const 0) (i32.const -1))))
                   (func $join (param $n i32) (local $i i32) (local $j i32)
                     (i32.atomic.store (i32.const 0) (i32.const 0))
                     (loop $l
                       (local.set $j (i32.const 0))
                       (loop $batch
                         (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
                         (local.set $i (i32.add (local.get $i) (i32.const 1)))
                         (br_if $batch (i32.lt_u
                           (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const {batch}))))
                       (call $await (local.get $i))
                       (br_if $l (i32.lt_u (local.get $i) (local.get $n)))))
                   (func (export "_start")
                     (call $join (i32.const 200))
                     (call $mark) (call $join (i32.const {SPAWNS})) (call $mark))"#
            ),
        )?;
        let ours = |pool: Pool| run(engine, &joins, pool, false);
        let native = || {
            let start = Instant::now();
            for _ in 0..SPAWNS / batch {
                let threads: Vec<_> = (0..batch).map(|_| std::thread::spawn(|| ())).collect();
                threads
                    .into_iter()
                    .try_for_each(|thread| thread.join())
                    .expect("no panic");
            }
            Ok(start.elapsed())
        };
        compare(
            &format!("spawn and join, {batch} at a time, per thread"),
            SPAWNS,
            &[
                ("std::thread::spawn, join", &native),
                ("parked host threads, instances made ahead", &|| {
                    ours(Pool::new())
                }),
                ("parked host threads, instances at the spawn", &|| {
                    ours(Pool::new().prewarmed(0))
                }),
                ("a host thread for each, instances made ahead", &|| {
                    ours(Pool::new().idle(0))
                }),
                ("a host thread for each, instances at the spawn", &|| {
                    ours(Pool::new().idle(0).prewarmed(0))
                }),
            ],
        )?;
    }
    Ok(())
}

const CALLS: u32 = 1_000_000;

fn calls(engine: &Engine) -> Result<()> {
    let calling = |name: &str| {
        module(
            engine,
            &format!(
                r#"(func (export "wasi_thread_start") (param i32 i32))
                   (func $loop (param $n i32) (local $x i32)
                     (loop $l
                       (local.set $x (call ${name} (local.get $x)))
                       (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
                   (func (export "_start")
                     (call $loop (i32.const 10000))
                     (call $mark) (call $loop (i32.const {CALLS})) (call $mark))"#
            ),
        )
    };
    let (sync, ready) = (calling("sync")?, calling("ready")?);
    let ours = |module: &ThreadModule, with_async| run(engine, module, Pool::new(), with_async);
    compare(
        "a call of a host function",
        CALLS,
        &[
            ("func_wrap, in a group without async functions", &|| {
                ours(&sync, false)
            }),
            ("func_wrap, in a group with async functions", &|| {
                ours(&sync, true)
            }),
            ("func_wrap_async, ready at once", &|| ours(&ready, true)),
        ],
    )
}

/// Resident bytes, mappings, descriptors of this process.
fn footprint() -> Result<(u64, usize, usize)> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|line| line.trim().strip_suffix("kB"));
    let resident: u64 = resident.ok_or("no VmRSS")?.trim().parse()?;
    let maps = std::fs::read_to_string("/proc/self/maps")?.lines().count();
    Ok((
        resident << 10,
        maps,
        std::fs::read_dir("/proc/self/fd")?.count(),
    ))
}

/// As many host threads that park, with the same stacks, and are then woken one by one and joined.
fn native_threads(count: u32) -> Result<()> {
    let end = Arc::new(AtomicBool::new(false));
    let stack = Engine::default().get_max_wasm_stack() + (1 << 20);
    let threads = (0..count).map(|_| {
        let end = Arc::clone(&end);
        std::thread::Builder::new()
            .stack_size(stack)
            .spawn(move || {
                while !end.load(Ordering::Acquire) {
                    std::thread::park();
                }
            })
    });
    let threads: Vec<_> = threads.collect::<std::io::Result<_>>()?;
    std::thread::sleep(Duration::from_millis(200));
    let ended = Instant::now();
    end.store(true, Ordering::Release);
    threads.iter().for_each(|thread| thread.thread().unpark());
    for thread in threads {
        thread.join().expect("no panic");
    }
    println!(
        "{count} native threads that park, ended in {:.1?}",
        ended.elapsed()
    );
    Ok(())
}

fn threads(engine: &Engine, count: u32) -> Result<()> {
    let crowd = module(
        engine,
        &format!(
            r#"(func (export "wasi_thread_start") (param i32 i32)
                 (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
                 (drop (memory.atomic.notify (i32.const 0) (i32.const -1)))
                 (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
               (func (export "_start") (local $i i32)
                 (loop $l
                   (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
                   (br_if $l (i32.lt_u
                     (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {count}))))
                 (call $await (i32.const {count}))
                 (call $mark)
                 (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))"#
        ),
    )?;
    let marks = Marks::default();
    let before = footprint()?;
    let group = ThreadGroup::builder(engine, &crowd, linker(engine, &marks, false)?)
        .state(|_| ())
        .build()?;
    let handle = group.handle();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start"));
        while marks.lock().expect("no panic").is_empty() && !handle.is_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let started = begun.elapsed();
        // The last of them are on their way into their wait.
        std::thread::sleep(Duration::from_millis(200));
        let with = footprint()?;
        let ended = Instant::now();
        handle.cancel();
        let outcome = run.join().expect("no panic")?;
        let took = ended.elapsed();
        let each = |with: f64, before: f64| (with - before) / f64::from(count);
        println!(
            "{count} parked threads, started in {started:.1?}, ended in {took:.1?}: {outcome:?}\n  \
             each: {:.1} KiB resident, {:.2} mappings, {:.2} descriptors; last failed spawn: {:?}",
            each(with.0 as f64, before.0 as f64) / 1024.0,
            each(with.1 as f64, before.1 as f64),
            each(with.2 as f64, before.2 as f64),
            group.spawn_failures().last,
        );
        Ok(())
    })
}

fn main() -> Result<()> {
    let engine = engine()?;
    let mut arguments = std::env::args().skip(1);
    let wanted = arguments.next();
    let is = |what: &str| wanted.as_deref().is_none_or(|wanted| wanted == what);
    if is("spawn") {
        spawn(&engine)?;
    }
    if is("async") {
        calls(&engine)?;
    }
    if is("threads") {
        let counts = match arguments.next() {
            Some(count) => vec![count.parse()?],
            None => vec![1000, 10_000],
        };
        for count in counts {
            native_threads(count)?;
            threads(&engine, count)?;
        }
    }
    Ok(())
}
