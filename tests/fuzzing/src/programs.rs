//! Whole programs of threads: what ends them, what is left of them, and whether the next one works.

use std::collections::HashSet;
use std::io::PipeWriter;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use p1_adapter::{EndSignal, P1Ctx, P1CtxBuilder, P1State, StreamAccess, add_to_linker_sync};
use tempfile::TempDir;
use wasi_threads::{
    GroupHandle, Limits, Outcome, Pool, RunError, Termination, ThreadGroup, ThreadId, ThreadModule,
    prepare,
};
use wasmtime::{Caller, Config, Engine, Linker, Trap};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit};

use crate::input::Input;
use crate::plant::planted;
use crate::programs_guest::{BLOCKS, KINDS, NAMES, PLANS, STEPS, TEXT, note};

/// How long a program may take in all, in pieces of [`TICK`] that were not spent stopped.
const TICKS: u32 = 600;
const TICK: Duration = Duration::from_millis(100);

/// What the host function that panics says.
const PANIC: &str = "a host function of the fuzzer's panicked";

/// What threads have said they would do, and which.
type Notes = Mutex<HashSet<(i32, i32, ThreadId)>>;

struct Data {
    wasi: P1State,
    id: ThreadId,
    notes: Arc<Notes>,
    handle: Arc<OnceLock<GroupHandle>>,
}

struct World {
    engine: Engine,
    module: ThreadModule,
    linker: Linker<Data>,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let mut config = Config::new();
    config
        .wasm_threads(true)
        .shared_memory(true)
        .epoch_interruption(true)
        .max_wasm_stack(64 << 10);
    let engine = Engine::new(&config).expect("an engine");
    let wasm = wat::parse_str(TEXT).expect("the guest");
    let module = prepare(&engine, &wasm).expect("a module to prepare");
    let linker = linker(&engine).expect("distinct names");
    World {
        engine,
        module,
        linker,
    }
});

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Data>> {
    let mut linker = Linker::new(engine);
    add_to_linker_sync(&mut linker, |data: &mut Data| &mut data.wasi)?;
    linker.func_wrap(
        "host",
        "note",
        |caller: Caller<'_, Data>, kind: i32, value: i32| {
            let data = caller.data();
            let mut notes = data.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.insert((kind, value, data.id));
        },
    )?;
    linker.func_wrap("host", "fail", || -> wasmtime::Result<()> {
        Err(wasmtime::Error::msg("a host function failed"))
    })?;
    linker.func_wrap("host", "panic", || -> () { panic!("{PANIC}") })?;
    linker.func_wrap("host", "cancel", |caller: Caller<'_, Data>| {
        if let Some(handle) = caller.data().handle.get() {
            handle.cancel();
        }
    })?;
    Ok(linker)
}

/// What a plan asks of its host.
struct Asked {
    deadlocks: bool,
    timeout: Duration,
    threads: u32,
    pool: Pool,
    plans: Vec<u8>,
}

fn asked(input: &mut Input<'_>) -> Asked {
    let flags = input.u8();
    let timeout = Duration::from_millis(10 + u64::from(input.u8() % 32));
    let threads = u32::from(input.u8() % 9);
    let pool = match flags >> 1 & 3 {
        0 => Pool::new(),
        1 => Pool::new().idle(0),
        2 => Pool::new().prewarmed(0),
        _ => Pool::new().idle(2).idle_time(Duration::from_millis(1)),
    };
    let mut plans = input.rest().to_vec();
    plans.truncate(BLOCKS * STEPS * 8);
    for step in plans.chunks_mut(8) {
        step[0] %= KINDS + 1;
    }
    Asked {
        deadlocks: flags & 1 != 0,
        timeout,
        threads,
        pool,
        plans,
    }
}

pub(crate) fn run(data: &[u8]) {
    prepare_process();
    let watched = Watched::new();
    let before = held();
    let outcome = program(&asked(&mut Input::new(data)));
    assert_eq!(nothing_left(before, outcome), None, "something is left");
    // Whatever that was, the next program works.
    let known = program(&Asked {
        deadlocks: true,
        timeout: Duration::from_secs(3600),
        threads: 2,
        pool: Pool::new(),
        plans: known(),
    });
    assert!(
        known.exited == Some(7),
        "the next program did something else"
    );
    drop(watched);
}

/// A thread starts another, which adds to a word; waits for it, and exits with 7.
fn known() -> Vec<u8> {
    let mut plans = vec![0; 2 * STEPS * 8];
    let steps = [
        (0, [1, 1, 0, 0]),
        (1, [2, 0, 0, 255]),
        (2, [10, 7, 0, 0]),
        (STEPS, [4, 0, 1, 0]),
        (STEPS + 1, [3, 0, 255, 0]),
    ];
    for (at, step) in steps {
        plans[8 * at..8 * at + 4].copy_from_slice(&step);
    }
    plans
}

/// What a program gets, and the other end of its standard input.
fn context(dir: &Path, end: EndSignal) -> (P1Ctx, PipeWriter) {
    let (stdin, other_end) = std::io::pipe().expect("a pipe");
    let ctx = P1CtxBuilder::new()
        .stdout(MemoryOutputPipe::new(1 << 16))
        .stderr(MemoryOutputPipe::new(1 << 16))
        .max_descriptors(24)
        .preopened_dir(dir, "/", FsPerms::ReadWrite)
        .expect("a folder")
        .end_signal(end)
        .build()
        .expect("a context");
    ctx.push_stream(stdin, StreamAccess::Read).expect("room");
    (ctx, other_end)
}

/// What came of a program.
struct Came {
    exited: Option<i32>,
    /// Threads that said they would wait for ever.
    waiting: usize,
}

fn program(asked: &Asked) -> Came {
    let World {
        engine,
        module,
        linker,
    } = &*WORLD;
    let dir: TempDir = tempfile::tempdir().expect("a folder");
    let end = EndSignal::new();
    let (ctx, _other_end) = context(dir.path(), end.clone());
    let notes = Arc::<Notes>::default();
    let handle = Arc::<OnceLock<GroupHandle>>::default();
    let (of_group, said) = (Arc::clone(&handle), Arc::clone(&notes));
    let limits = Limits::new()
        .threads(asked.threads)
        .threads_ever(40)
        .spawn_wait(Duration::from_millis(1))
        .timeout(asked.timeout);
    let group = ThreadGroup::builder(engine, module, linker.clone())
        .limits(limits)
        .pool(asked.pool.clone())
        .termination(Termination::Epochs)
        .detect_deadlock(asked.deadlocks)
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
        .on_end(move || end.raise())
        .state(move |thread| Data {
            wasi: match thread.memory() {
                Some(memory) => P1State::with_memory(ctx.clone(), memory.clone()),
                None => P1State::new(ctx.clone()),
            },
            id: thread.id(),
            notes: Arc::clone(&notes),
            handle: Arc::clone(&of_group),
        })
        .build()
        .expect("a group");
    let _ = handle.set(group.handle());
    let memory = group.host_memory().expect("a memory");
    let names = u32::from_le_bytes(*b"abcd");
    memory.store32(NAMES, names).expect("it is there");
    for (at, word) in asked.plans.chunks(4).enumerate() {
        let mut bytes = [0; 4];
        bytes[..word.len()].copy_from_slice(word);
        let at = PLANS + 4 * at as u64;
        memory
            .store32(at, u32::from_le_bytes(bytes))
            .expect("it is there");
    }
    let began = Instant::now();
    let outcome = group.run("_start").expect("it runs");
    let took = began.elapsed();
    let notes = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let outcome = plant(outcome, &notes);
    check(&outcome, &notes, took, asked);
    assert!(group.left_behind().is_empty());
    assert!(matches!(group.run("_start"), Err(RunError::AlreadyRan)));
    assert_eq!(memory.load32(NAMES).expect("it is there"), names);
    assert!(group.handle().is_ended() && !group.handle().cancel());
    let waits = |(kind, ..): &&(i32, i32, ThreadId)| *kind == note::WAITS;
    Came {
        exited: match outcome {
            Outcome::Exited(code) => Some(code),
            _ => None,
        },
        waiting: notes.iter().filter(waits).count(),
    }
}

fn plant(outcome: Outcome, notes: &HashSet<(i32, i32, ThreadId)>) -> Outcome {
    let Outcome::Exited(code) = outcome else {
        return outcome;
    };
    let mains = notes.contains(&(note::EXITS, code, ThreadId::MAIN));
    match planted("lost-exit") && !mains {
        true => Outcome::Returned,
        false => outcome,
    }
}

/// Whether a thread has said that it would do what ended the group.
fn check(outcome: &Outcome, notes: &HashSet<(i32, i32, ThreadId)>, took: Duration, asked: &Asked) {
    let said = |kind: i32| notes.iter().any(|(of, ..)| *of == kind);
    let by = |kind: i32, id: ThreadId| notes.contains(&(kind, 0, id));
    let legal = match outcome {
        Outcome::Returned => by(note::RETURNS, ThreadId::MAIN),
        Outcome::Exited(code) => {
            let exits =
                |(kind, value, _): &(i32, i32, ThreadId)| *kind == note::EXITS && value == code;
            notes.iter().any(exits)
        }
        Outcome::Trapped { thread, trap, .. } => match trap {
            Some(Trap::UnreachableCodeReached) => by(note::TRAPS, *thread),
            Some(Trap::StackOverflow) => by(note::OVERFLOWS, *thread),
            Some(_) => false,
            None => by(note::FAILS, *thread),
        },
        Outcome::Panicked { thread, message } => by(note::PANICS, *thread) && message == PANIC,
        Outcome::TimedOut => took >= asked.timeout,
        Outcome::Cancelled => said(note::CANCELS),
        Outcome::Deadlocked(_) => asked.deadlocks && said(note::WAITS),
        _ => false,
    };
    assert!(legal, "{outcome:?} after {took:?}, and said was {notes:?}");
}

/// Host threads of groups, and descriptors, of this process.
fn held() -> (usize, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let named = tasks.flatten().filter(|task| {
        let name = std::fs::read_to_string(task.path().join("comm"));
        // Parked, or named after the guest thread that it runs.
        name.is_ok_and(|name| name.starts_with("wasi-") && name.trim_end() != "wasi-reaper")
    });
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("descriptors");
    (named.count(), descriptors.count())
}

/// What is left, if that does not go within a while.
fn nothing_left(before: (usize, usize), came: Came) -> Option<(usize, usize)> {
    if planted("thread-left") && came.exited.is_some() && came.waiting >= 2 {
        return Some((before.0 + 1, before.1));
    }
    for _ in 0..2000 {
        // A thread that was joined may be listed for a moment longer.
        let now = held();
        if now.0 <= before.0 && now.1 <= before.1 {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Some(held()).filter(|now| now.0 > before.0 || now.1 > before.1)
}

/// What a process does once. The panic that is asked for is caught: it is neither shown, nor the
/// end of a fuzzer that ends at panics.
fn prepare_process() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Tokio's runtime, which wasmtime-wasi has for the whole process, has descriptors.
        wasmtime_wasi::runtime::in_tokio(async {});
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload_as_str() != Some(PANIC) {
                others(info);
            }
        }));
    });
}

/// Ends the process, by its name, if a program does not come to its end.
struct Watched;

static LEFT: AtomicU32 = AtomicU32::new(u32::MAX);

impl Watched {
    fn new() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            std::thread::spawn(|| {
                loop {
                    std::thread::sleep(TICK);
                    let less = |left: u32| (left != u32::MAX).then(|| left.saturating_sub(1));
                    let left = LEFT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
                    if left == Ok(1) {
                        eprintln!("programs: not ended after {:?}", TICK * TICKS);
                        std::process::abort();
                    }
                }
            });
        });
        LEFT.store(TICKS, Ordering::Relaxed);
        Watched
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        LEFT.store(u32::MAX, Ordering::Relaxed);
    }
}
