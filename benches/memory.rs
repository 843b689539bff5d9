//! What each additional group, thread and instance costs its process: resident bytes, mappings,
//! descriptors.
//!
//! `cargo bench -p benches --bench memory` prints a Markdown table. Its rows are a group that is
//! built and runs nothing, a thread that waits, a host thread that is parked for the next one, and
//! an instance made ahead of its thread. Linux only. `MEMORY_COUNT` (200) says how many of each are
//! made.

use std::error::Error;
use std::fs::{read_dir, read_to_string};
use std::io::Write as _;
use std::time::{Duration, Instant};

use wasi_threads::{Pool, ThreadGroup, ThreadModule, prepare};
use wasmtime::{Config, Engine, Linker};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The longest that a group takes to get where it is to be measured.
const PATIENCE: Duration = Duration::from_secs(60);

/// Starts so many threads, which wait for word 64 to change. Then main sets it, if `ends` is 1, and
/// waits for ever. Word 0 counts threads that have begun, word 192 says that main is done.
fn guest(engine: &Engine, threads: u32, ends: bool) -> Result<ThreadModule> {
    let ends = u8::from(ends);
    let text = format!(
        r#"(module
          (import "env" "memory" (memory 1 1 shared))
          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
          (export "memory" (memory 0))
          (func (export "wasi_thread_start") (param i32 i32)
            (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 0) (i32.const -1)))
            (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
          (func (export "_start") (local $n i32)
            (loop $more
              (if (i32.lt_s (call $spawn (i32.const 0)) (i32.const 1)) (then (unreachable)))
              (br_if $more (i32.lt_u
                (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {threads}))))
            (loop $await
              (local.set $n (i32.atomic.load (i32.const 0)))
              (if (i32.lt_u (local.get $n) (i32.const {threads})) (then
                (drop (memory.atomic.wait32 (i32.const 0) (local.get $n) (i64.const -1)))
                (br $await))))
            (if (i32.const {ends}) (then
              (i32.atomic.store (i32.const 64) (i32.const 1))
              (drop (memory.atomic.notify (i32.const 64) (i32.const -1)))))
            (i32.atomic.store (i32.const 192) (i32.const 1))
            (drop (memory.atomic.wait32 (i32.const 128) (i32.const 0) (i64.const -1)))))"#
    );
    Ok(prepare(engine, &wat::parse_str(text)?)?)
}

/// What the process has: resident KiB, mappings, descriptors.
#[derive(Clone, Copy)]
struct Footprint([f64; 3]);

impl Footprint {
    fn now() -> Result<Self> {
        let status = read_to_string("/proc/self/status")?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.split_whitespace().next())
            .ok_or("no VmRSS in /proc/self/status")?;
        Ok(Self([
            resident.parse()?,
            read_to_string("/proc/self/maps")?.lines().count() as f64,
            read_dir("/proc/self/fd")?.count() as f64,
        ]))
    }

    /// What each of `count` has added since `before`.
    fn each(self, before: Self, count: u32) -> [f64; 3] {
        let each = |at: usize| (self.0[at] - before.0[at]) / f64::from(count);
        [each(0), each(1), each(2)]
    }
}

fn group(engine: &Engine, module: &ThreadModule, pool: Pool) -> Result<ThreadGroup<()>> {
    let builder = ThreadGroup::builder(engine, module, Linker::new(engine));
    Ok(builder.pool(pool).state(|_| ()).build()?)
}

/// What the process has while the group's main waits, all else being done.
fn while_it_waits(group: &ThreadGroup<()>) -> Result<Footprint> {
    let handle = group.handle();
    let memory = group.host_memory().ok_or("no memory")?;
    std::thread::scope(|scope| {
        let run = scope.spawn(|| group.run("_start").map_err(|error| error.to_string()));
        let began = Instant::now();
        while !handle.is_ended()
            && began.elapsed() < PATIENCE
            && memory.load32(192).is_ok_and(|done| done == 0)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(200));
        let footprint = Footprint::now();
        let cancelled = handle.cancel();
        let outcome = run
            .join()
            .map_err(|_| "the group's thread has panicked")??;
        if !cancelled {
            return Err(format!("it has ended too early: {outcome:?}").into());
        }
        footprint
    })
}

fn main() -> Result<()> {
    let mut out = std::io::stdout().lock();
    if !std::env::args().any(|word| word == "--bench") {
        return writeln!(out, "memory: measured only by `cargo bench`").map_err(Into::into);
    }
    let count: u32 = std::env::var("MEMORY_COUNT").map_or(Ok(200), |count| count.parse())?;
    let mut config = Config::new();
    config.shared_memory(true).epoch_interruption(true);
    let engine = Engine::new(&config)?;
    let waits = guest(&engine, count, false)?;
    let ends = guest(&engine, count, true)?;
    let none = || Pool::new().idle(0).prewarmed(0);
    // What the first of a kind brings is not of each.
    let first = group(&engine, &waits, none())?;
    while_it_waits(&first)?;

    let before = Footprint::now()?;
    let groups = (0..count).map(|_| group(&engine, &waits, none()));
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let of_groups = Footprint::now()?.each(before, count);
    drop(groups);

    let before = Footprint::now()?;
    let waiting = group(&engine, &waits, none())?;
    let of_threads = while_it_waits(&waiting)?.each(before, count);
    drop(waiting);

    let idle = || Pool::new().idle(count as usize).idle_time(PATIENCE * 2);
    let before = Footprint::now()?;
    let parked = group(&engine, &ends, idle().prewarmed(0))?;
    let with_parked = while_it_waits(&parked)?;
    let of_parked = with_parked.each(before, count);
    drop(parked);

    let before = Footprint::now()?;
    let ahead = group(&engine, &ends, idle().prewarmed(count as usize))?;
    let of_both = while_it_waits(&ahead)?.each(before, count);
    let of_ahead = [0, 1, 2].map(|at| of_both[at] - of_parked[at]);

    writeln!(out, "| {count} of each | KiB | mappings | descriptors |")?;
    writeln!(out, "|---|---:|---:|---:|")?;
    for (name, [kib, mappings, descriptors]) in [
        ("group, built, with a memory of a page", of_groups),
        ("thread that waits", of_threads),
        ("host thread, parked", of_parked),
        ("instance made ahead", of_ahead),
    ] {
        writeln!(
            out,
            "| {name} | {kib:.1} | {mappings:.2} | {descriptors:.2} |"
        )?;
    }
    Ok(())
}
