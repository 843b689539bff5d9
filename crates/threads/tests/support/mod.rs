//! What the tests of thread groups share: engines, guests, host functions, a watchdog.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary includes this module and uses its part"
)]

#[path = "../../../../tests/support/emulated.rs"]
pub mod emulated;

pub use emulated::{emulated, left_out, less, slower};

use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use wasi_threads::{
    EndToken, GroupBuilder, GroupHandle, Limits, Outcome, ThreadGroup, ThreadId, ThreadInfo,
    ThreadModule, prepare,
};
use wasmtime::{Caller, Config, Engine, Linker, Module};

/// Aborts the process if it is not dropped in time, so that a hang becomes a failure with a name.
pub struct Watchdog {
    _alive: mpsc::Sender<()>,
}

/// Watches the test `name` for `seconds`, or longer in an emulator.
pub fn watchdog(name: &'static str, seconds: u64) -> Watchdog {
    let limit = slower(Duration::from_secs(seconds));
    let (alive, gone) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if gone.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("watchdog: {name} is not done after {limit:?}");
            std::process::abort();
        }
    });
    Watchdog { _alive: alive }
}

/// Ends a group when its test fails, so that the test shows the failure and does not hang in `run`.
pub struct CancelOnDrop(pub GroupHandle);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The configuration of the tests' engines. An emulator keeps 6 bytes for each KiB of address space
/// that was ever reserved, so less is reserved there.
pub fn config() -> Config {
    let mut config = Config::new();
    if emulated() {
        config.memory_reservation(256 << 20);
    }
    config.wasm_threads(true);
    config.shared_memory(true);
    config.epoch_interruption(true);
    config
}

/// An engine with epochs and shared memory.
pub fn engine() -> Engine {
    Engine::new(&config()).unwrap()
}

/// The error by which `host.exit` passes its code.
#[derive(Debug, thiserror::Error)]
#[error("exit {0}")]
pub struct Exit(pub i32);

/// What the host functions of a test record.
#[derive(Default)]
pub struct Log {
    /// Arguments of `host.log`.
    pub values: Mutex<Vec<i32>>,
    /// Calls of `host.count`.
    pub count: AtomicU64,
}

/// Store data of each thread.
pub struct Data {
    pub id: ThreadId,
    pub token: EndToken,
    pub log: Arc<Log>,
}

/// The host functions under `host`.
pub fn linker(engine: &Engine) -> Linker<Data> {
    let mut linker = Linker::new(engine);
    linker
        .func_wrap("host", "log", |caller: Caller<'_, Data>, value: i32| {
            caller.data().log.values.lock().unwrap().push(value);
        })
        .unwrap();
    linker
        .func_wrap("host", "count", |caller: Caller<'_, Data>| {
            caller.data().log.count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    linker
        .func_wrap("host", "id", |caller: Caller<'_, Data>| -> i32 {
            caller.data().id.get() as i32
        })
        .unwrap();
    linker
        .func_wrap("host", "exit", |code: i32| -> wasmtime::Result<()> {
            Err(Exit(code).into())
        })
        .unwrap();
    linker
        .func_wrap("host", "fail", || -> wasmtime::Result<()> {
            Err(wasmtime::Error::msg("the host function failed"))
        })
        .unwrap();
    linker
        .func_wrap("host", "panic", || -> () {
            panic!("the host function panicked")
        })
        .unwrap();
    // Blocks like a well-behaved host function: until the group ends.
    linker
        .func_wrap("host", "block", |caller: Caller<'_, Data>| {
            caller.data().token.wait();
        })
        .unwrap();
    linker
        .func_wrap("host", "sleep", |millis: i32| {
            std::thread::sleep(Duration::from_millis(millis as u64));
        })
        .unwrap();
    linker
}

/// The declarations each guest starts with: the memory and the host functions.
pub const PRELUDE: &str = r#"
    (import "env" "memory" (memory 1 64 shared))
    (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
    (import "host" "log" (func $log (param i32)))
    (import "host" "count" (func $count))
    (import "host" "id" (func $id (result i32)))
    (import "host" "exit" (func $exit (param i32)))
    (import "host" "fail" (func $fail))
    (import "host" "panic" (func $panic))
    (import "host" "block" (func $block))
    (import "host" "sleep" (func $sleep (param i32)))
    (export "memory" (memory 0))
    (func $park (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
    (func $spin (loop $l (br $l)))
    (func $await (param $addr i32) (param $until i32)
      (local $seen i32)
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

/// Bytes of a guest: the prelude and `body`.
pub fn guest(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {PRELUDE} {body})")).unwrap()
}

/// How a module is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Prepared,
    Unprepared,
}

/// Both ways.
pub const DOORS: [Door; 2] = [Door::Prepared, Door::Unprepared];

impl Door {
    /// The module of `bytes`.
    pub fn module(self, engine: &Engine, bytes: &[u8]) -> ThreadModule {
        match self {
            Door::Prepared => prepare(engine, bytes).unwrap(),
            Door::Unprepared => {
                ThreadModule::from_unprepared(Module::from_binary(engine, bytes).unwrap())
            }
        }
    }
}

/// Makes each thread's store data.
pub fn data_of(log: &Arc<Log>) -> impl Fn(&ThreadInfo) -> Data + Send + Sync + 'static {
    let log = Arc::clone(log);
    move |info| Data {
        id: info.id(),
        token: info.token().clone(),
        log: Arc::clone(&log),
    }
}

/// A builder with the tests' host functions.
pub fn builder(engine: &Engine, module: &ThreadModule, log: &Arc<Log>) -> GroupBuilder<Data> {
    ThreadGroup::builder(engine, module, linker(engine))
        .exit_code(|error| error.downcast_ref::<Exit>().map(|exit| exit.0))
        .state(data_of(log))
}

/// Runs the guest `body` with `limits`, prepared, and returns its outcome and what it logged.
pub fn run_with(body: &str, limits: Limits) -> (Outcome, Vec<i32>) {
    let engine = engine();
    let log = Arc::<Log>::default();
    let module = Door::Prepared.module(&engine, &guest(body));
    let group = builder(&engine, &module, &log)
        .limits(limits)
        .build()
        .unwrap();
    let outcome = group.run("_start").unwrap();
    let values = log.values.lock().unwrap().clone();
    (outcome, values)
}

/// Runs the guest `body` without limits.
pub fn run(body: &str) -> (Outcome, Vec<i32>) {
    run_with(body, Limits::new())
}

/// How many host threads of groups this process has, by their names. The test harness starts
/// threads of its own at any time.
#[cfg(target_os = "linux")]
pub fn host_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    // A thread that has ended meanwhile has no name any more.
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    let names = tasks.flatten().filter_map(name);
    names.filter(|name| is_host_thread(name.trim_end())).count()
}

/// None can be counted elsewhere: what is asked of them is not asked there.
#[cfg(not(target_os = "linux"))]
pub fn host_threads() -> usize {
    0
}

/// Whether a thread of this name is a group's: parked, or named after the guest thread it runs.
#[cfg(target_os = "linux")]
pub fn is_host_thread(name: &str) -> bool {
    let id = name.strip_prefix("wasi-");
    id.is_some_and(|id| matches!(id, "thread" | "main") || id.parse::<u32>().is_ok())
}

/// How many rounds the long form of a test has; `None` in an ordinary run.
/// `scripts/threads-stress.sh` sets it.
pub fn stress() -> Option<u32> {
    let rounds = std::env::var("WASI_THREADS_STRESS").ok()?;
    Some(rounds.parse().unwrap())
}

/// The median and the worst of these times.
pub fn median_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() - 1])
}

/// Waits until `condition` holds, for at most `limit`, or longer in an emulator; whether it does.
pub fn eventually(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + slower(limit);
    while !condition() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Set in the process that runs a test's own part.
const INSIDE: &str = "WASI_THREADS_TEST_INSIDE";

/// Runs `test` of this binary in a process of its own, under `limits` (shell), and checks that it
/// passed. True in that process, where the caller goes on. Its stdin is a pipe that is never
/// written to. Windows has no shell, so there are no limits there.
pub fn in_a_process(test: &str, limits: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let (stdin, _held_open) = std::io::pipe().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut command = match cfg!(windows) {
        true => Command::new(this),
        false => {
            let mut shell = Command::new("sh");
            shell.args(["-c", &format!(r#"{limits}; exec "$0" "$@""#)]);
            shell.arg(this);
            shell
        }
    };
    let output = command
        .stdin(stdin)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .env_remove("RUST_BACKTRACE")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{}\n{out}\n{err}", output.status);
    assert!(out.contains("1 passed"), "{out}");
    eprint!("{err}");
    false
}
