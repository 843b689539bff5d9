//! How one program is run: its engine, what it gets, and what came of it.

use std::collections::HashSet;
use std::io::PipeWriter;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use p1_adapter::{EndSignal, P1Ctx, P1CtxBuilder, P1State, StreamAccess, add_to_linker_sync};
use wasi_threads::rewrite::{Points, RewriteOptions};
use wasi_threads::schedule::{Schedule, ScheduleTrace};
use wasi_threads::{
    GroupBuilder, GroupHandle, Limits, Outcome, Pool, RunError, Termination, ThreadGroup, ThreadId,
    ThreadModule, prepare_with,
};
use wasi_threads_p1::replay::{World as Repeatable, schedule};
use wasmtime::{Caller, Config, Engine, Linker};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, I32Exit};

use crate::programs_guest::{NAMES, PLANS, TEXT};
use crate::programs_ways::{Ran, Way, Ways};

/// What the host function that panics says.
pub(crate) const PANIC: &str = "a host function of the fuzzer's panicked";

/// What threads have said they would do, and which.
pub(crate) type Said = HashSet<(i32, i32, ThreadId)>;
type Notes = Mutex<Said>;

/// What a thread's store has.
pub(crate) struct Data {
    wasi: P1State,
    id: ThreadId,
    notes: Arc<Notes>,
    handle: Arc<OnceLock<GroupHandle>>,
}

/// What a plan asks of its host.
pub(crate) struct Asked {
    pub(crate) way: Way,
    pub(crate) deadlocks: bool,
    pub(crate) timeout: Duration,
    pub(crate) threads: u32,
    pub(crate) pool: Pool,
    pub(crate) plans: Vec<u8>,
}

/// What came of a program.
pub(crate) struct Came {
    pub(crate) outcome: Outcome,
    pub(crate) said: Said,
    pub(crate) took: Duration,
    /// Of a run whose threads took turns.
    pub(crate) trace: Option<ScheduleTrace>,
    pub(crate) memory: u64,
}

struct World {
    engine: Engine,
    module: ThreadModule,
    linker: Linker<Data>,
}

static PLAIN: LazyLock<World> = LazyLock::new(|| World::of(false, None));
static FUEL: LazyLock<World> = LazyLock::new(|| World::of(true, None));
static TURNS: LazyLock<World> = LazyLock::new(|| World::of(false, Some(Points::Accesses)));

impl World {
    fn of(fuel: bool, points: Option<Points>) -> Self {
        let mut config = Config::new();
        config
            .wasm_threads(true)
            .shared_memory(true)
            .epoch_interruption(true)
            .consume_fuel(fuel)
            .max_wasm_stack(64 << 10);
        let engine = Engine::new(&config).expect("an engine");
        let wasm = wat::parse_str(TEXT).expect("the guest");
        let mut options = RewriteOptions::default();
        options.points = points;
        let module = prepare_with(&engine, &wasm, &options).expect("a module to prepare");
        let linker = linker(&engine).expect("distinct names");
        World {
            engine,
            module,
            linker,
        }
    }

    fn for_way(way: Way) -> &'static Self {
        match way {
            Way::Fuel(_) => &FUEL,
            Way::Turns(..) => &TURNS,
            _ => &PLAIN,
        }
    }
}

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

/// What a program gets, and the other end of its standard input.
fn context(builder: &mut P1CtxBuilder, dir: &Path, end: EndSignal) -> (P1Ctx, PipeWriter) {
    let (stdin, other_end) = std::io::pipe().expect("a pipe");
    let ctx = builder
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

/// The group of a program, which is given the data of its threads.
fn builder(world: &World, asked: &Asked) -> GroupBuilder<Data, wasi_threads::NoThreadData> {
    let limits = Limits::new()
        .threads(asked.threads)
        .threads_ever(40)
        .spawn_wait(Duration::from_millis(1))
        .timeout(asked.timeout);
    ThreadGroup::builder(&world.engine, &world.module, world.linker.clone())
        .limits(match asked.way {
            Way::Fuel(units) => limits.fuel(units),
            _ => limits,
        })
        .pool(asked.pool.clone())
        .termination(Termination::Epochs)
        .detect_deadlock(asked.deadlocks)
        .host_word(p1_adapter::host_word)
        .exit_code(|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0))
}

/// Runs a program once.
///
/// # Panics
///
/// If its group breaks a promise.
pub(crate) fn once(asked: &Asked) -> Came {
    let world = World::for_way(asked.way);
    let dir = tempfile::tempdir().expect("a folder");
    let end = EndSignal::new();
    let mut settings = P1CtxBuilder::new();
    let mut group = builder(world, asked);
    if let Way::Turns(kind, seed) = asked.way {
        let scheduled = schedule(kind.build(seed));
        Repeatable::new(seed).give(&mut settings, &scheduled.handle());
        group = group.schedule(Schedule::Policy(scheduled));
    }
    let (ctx, _other_end) = context(&mut settings, dir.path(), end.clone());
    let ways = Ways::new(asked.way);
    let notes = Arc::<Notes>::default();
    let handle = Arc::<OnceLock<GroupHandle>>::default();
    let (of_group, said) = (Arc::clone(&handle), Arc::clone(&notes));
    let group = ways.set(group).on_end(move || end.raise());
    let group = group
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
    let (outcome, ran) = ways.run(group, "_start");
    let took = began.elapsed();
    let said = said.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(memory.load32(NAMES).expect("it is there"), names);
    let group = ran.as_ref().map(Ran::group);
    if let Some(group) = group {
        assert!(group.left_behind().is_empty());
        assert!(matches!(group.run("_start"), Err(RunError::AlreadyRan)));
        assert!(group.handle().is_ended() && !group.handle().cancel());
        ways.check(&outcome, group);
    }
    let came = Came {
        trace: group.and_then(ThreadGroup::schedule_trace),
        memory: group.map_or(0, ThreadGroup::memory_hash),
        outcome,
        said,
        took,
    };
    drop((ran, memory, handle));
    ways.check_end();
    came
}
