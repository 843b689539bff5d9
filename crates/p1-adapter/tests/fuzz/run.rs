//! Runs a program on a host that has one of everything, and checks what must hold afterwards.

use crate::generate::MEMORY;
use crate::guest::emulated::slower;
use crate::guest::{FUNCTIONS, Guest, World};
use crate::hosts::{Host, Kind};
use crate::program::{Program, Step};
use p1_adapter::{EndSignal, P1Ctx, P1State};
use std::fs;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use wasmtime::{SharedMemory, Val};

/// How long a program may take after the signal; longer in an emulator.
const BOUND: Duration = Duration::from_secs(20);

/// Of guests with one page.
static WORLD: LazyLock<World> = LazyLock::new(|| World::of(1));

/// Where tasks run.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

/// Raises the signal of programs that have run for too long, and ends the process if that does not
/// help.
#[derive(Default)]
struct Watchdog(Mutex<Vec<Watched>>);

struct Watched {
    number: u64,
    since: Instant,
    /// What was lost before.
    lost: u64,
    patience: Duration,
    end: EndSignal,
    program: Program,
}

/// Milliseconds in which this process was stopped.
static LOST: AtomicU64 = AtomicU64::new(0);

static WATCHDOG: LazyLock<&'static Watchdog> = LazyLock::new(|| {
    let watchdog: &'static Watchdog = Box::leak(Box::default());
    std::thread::spawn(move || {
        // The time in which this process was stopped does not count for a program.
        const MOST: Duration = Duration::from_millis(100);
        let mut last = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(1));
            let passed = last.elapsed();
            last += passed;
            let lost = passed.saturating_sub(MOST).as_millis();
            LOST.fetch_add(lost.try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
            watchdog.look();
        }
    });
    watchdog
});

impl Watchdog {
    fn all(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self) {
        let lost = LOST.load(Ordering::Relaxed);
        for watched in &*self.all() {
            let lost = Duration::from_millis(lost.saturating_sub(watched.lost));
            let since = watched.since.elapsed().saturating_sub(lost);
            let program = &watched.program;
            if since > watched.patience {
                watched.end.raise();
            }
            let bound = slower(BOUND);
            if since > watched.patience + bound {
                // There is no other way out of a call that does not return.
                let mut err = std::io::stderr();
                let _ = writeln!(err, "not ended {bound:?} after the signal:\n{program}");
                std::process::abort();
            }
        }
    }

    /// Runs `run`, which `end` ends.
    fn watch<R>(
        &self,
        end: &EndSignal,
        patience: Duration,
        program: &Program,
        run: impl FnOnce() -> R,
    ) -> R {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.all().push(Watched {
            number,
            since: Instant::now(),
            lost: LOST.load(Ordering::Relaxed),
            patience,
            end: end.clone(),
            program: program.clone(),
        });
        let result = run();
        self.all().retain(|watched| watched.number != number);
        result
    }
}

/// What came of a call: its function and errno, or a trap.
pub(crate) type Outcome = (usize, Option<u16>);

/// One thread of the program, or, with `task`, the task it is.
fn thread(
    ctx: &P1Ctx,
    memory: Option<&SharedMemory>,
    task: bool,
    program: &Program,
) -> Vec<Outcome> {
    let mut guest = match memory {
        Some(memory) => {
            let state = P1State::with_memory(ctx.clone(), memory.clone());
            WORLD.guest(&WORLD.linker, state, Some(memory))
        }
        None => {
            let linker = if task { &WORLD.tasks } else { &WORLD.linker };
            // No start function: nothing is called.
            RUNTIME.block_on(WORLD.task(linker, P1State::new(ctx.clone()), None))
        }
    };
    let mut outcomes = Vec::new();
    for step in &program.0 {
        match step {
            Step::Poke(at, bytes) => {
                let len = bytes.len().min(MEMORY.saturating_sub(*at) as usize);
                guest.write((*at).min(MEMORY), &bytes[..len]);
            }
            Step::Call(function, args) => {
                let outcome = call(&mut guest, task, *function, args);
                outcomes.push((*function, outcome));
                if ctx.end_signal().is_raised() {
                    break;
                }
            }
        }
    }
    outcomes
}

fn call(guest: &mut Guest, task: bool, function: usize, args: &[u64]) -> Option<u16> {
    let (name, params) = FUNCTIONS[function];
    let mut args = args.to_vec();
    if name == "fd_allocate" {
        // This one takes the space on the disk. What is refused is left.
        args[2] = Some(args[2])
            .filter(|len| *len > i64::MAX as u64)
            .unwrap_or(args[2] & 0xFFFF);
        args[1] = Some(args[1])
            .filter(|at| *at > i64::MAX as u64)
            .unwrap_or(args[1] & 0xFFFF);
    }
    let args: Vec<Val> = args
        .iter()
        .zip(params.chars())
        .map(|(arg, kind)| match kind {
            'I' => Val::I64(*arg as i64),
            _ => Val::I32(*arg as i32),
        })
        .collect();
    let returned = if task {
        RUNTIME.block_on(guest.try_call_async(name, &args))
    } else {
        guest.try_call(name, &args)
    };
    let errno = returned.ok()?;
    assert!((0..77).contains(&errno), "{name} returned {errno}");
    Some(errno as u16)
}

/// How the memory is had.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// A memory of its own.
    Own,
    /// A shared memory.
    Shared,
    /// Two threads run the same program in one shared memory.
    Twice,
    /// A memory of its own, and the async linker.
    Task,
}

pub(crate) const MANNERS: [Manner; 4] = [Manner::Own, Manner::Shared, Manner::Twice, Manner::Task];

/// Runs `program`, which is ended after `patience`; what came of the calls of its first thread.
pub(crate) fn run(
    program: &Program,
    manner: Manner,
    kind: Kind,
    patience: Duration,
) -> Result<Vec<Outcome>, String> {
    let host = Host::new(kind);
    let end = host.ctx.end_signal().clone();
    let threads = || match manner {
        Manner::Own => thread(&host.ctx, None, false, program),
        Manner::Task => thread(&host.ctx, None, true, program),
        Manner::Shared => thread(&host.ctx, Some(&WORLD.memory()), false, program),
        Manner::Twice => {
            let memory = WORLD.memory();
            std::thread::scope(|scope| {
                let other = scope.spawn(|| thread(&host.ctx, Some(&memory), false, program));
                let outcomes = thread(&host.ctx, Some(&memory), false, program);
                other.join().unwrap();
                outcomes
            })
        }
    };
    let caught = WATCHDOG.watch(&end, patience, program, || {
        catch_unwind(AssertUnwindSafe(threads))
    });
    let outcomes = caught.map_err(|_| "a panic".to_owned())?;
    host.check()?;
    host.end()?;
    Ok(outcomes)
}

/// For the test of the checks themselves: a host that a program has changed where it must not.
pub(crate) fn spoilt() -> Result<(), String> {
    let host = Host::new(Kind::Plain);
    host.check().expect("nothing has happened yet");
    fs::write(host.dir.path().join("read/file"), b"changed").unwrap();
    host.check()
}
