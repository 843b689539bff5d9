//! With every hook a program of files and directories prints the same bytes, wherever and whenever
//! it runs.

use crate::guest::{FUNCTIONS, WORLD};
use p1_adapter::{ClockSource, GuestClock, P1CtxBuilder, P1State, RandomSource, StreamAccess};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;
use wasmtime::{Module, Store};
use wasmtime_wasi::FsPerms;

const RUNS: u64 = 200;
const TIME: u64 = 1_700_000_000_000_000_000;

/// Where results and larger ones go.
const OUT: u32 = 64;
const BUF: u32 = 8192;

/// The text of a program that prints the errno of each call and what came of it.
#[derive(Default)]
struct Program {
    data: String,
    steps: String,
    strings: u32,
}

impl Program {
    /// Puts a string into the memory; it as two arguments.
    fn string(&mut self, string: &str) -> String {
        let at = 512 + self.strings * 32;
        self.strings += 1;
        writeln!(self.data, r#"(data (i32.const {at}) "{string}")"#).unwrap();
        format!("(i32.const {at}) (i32.const {})", string.len())
    }

    fn call(&mut self, name: &str, args: &str) {
        writeln!(self.steps, "(call $print_errno (call ${name} {args}))").unwrap();
    }

    fn print(&mut self, at: u32, len: &str) {
        writeln!(self.steps, "(call $print (i32.const {at}) {len})").unwrap();
    }

    fn call_and_print(&mut self, name: &str, args: &str, at: u32, len: u32) {
        self.call(name, args);
        self.print(at, &format!("(i32.const {len})"));
    }

    fn list(&mut self) {
        let args = format!(
            "(i32.const 3) (i32.const {BUF}) (i32.const 30000) (i64.const 0) (i32.const {OUT})"
        );
        self.call("fd_readdir", &args);
        self.print(BUF, &format!("(i32.load (i32.const {OUT}))"));
    }

    fn stat(&mut self, path: &str) {
        let path = self.string(path);
        let args = format!("(i32.const 3) (i32.const 0) {path} (i32.const {OUT})");
        self.call_and_print("path_filestat_get", &args, OUT, 64);
    }

    /// Makes a file; its number is at `OUT`.
    fn open(&mut self, path: &str) {
        let path = self.string(path);
        let rights = "(i64.const 0x42) (i64.const 0x42)";
        let args = format!(
            "(i32.const 3) (i32.const 0) {path} (i32.const 1) {rights} (i32.const 0) (i32.const {OUT})"
        );
        self.call_and_print("path_open", &args, OUT, 4);
    }

    fn on_path(&mut self, name: &str, path: &str) {
        let path = self.string(path);
        self.call(name, &format!("(i32.const 3) {path}"));
    }

    fn clocks(&mut self) {
        for id in 0..4 {
            let args = format!("(i32.const {id}) (i64.const 0) (i32.const {OUT})");
            self.call_and_print("clock_time_get", &args, OUT, 8);
        }
    }

    /// Sleeps for an hour.
    fn sleep(&mut self) {
        let at = |offset: u32| BUF + offset;
        writeln!(
            self.steps,
            "(memory.fill (i32.const {BUF}) (i32.const 0) (i32.const 48))
             (i32.store (i32.const {}) (i32.const 1))
             (i64.store (i32.const {}) (i64.const 3600000000000))",
            at(16),
            at(24)
        )
        .unwrap();
        let args = format!(
            "(i32.const {BUF}) (i32.const {}) (i32.const 1) (i32.const {OUT})",
            at(64)
        );
        self.call_and_print("poll_oneoff", &args, at(64), 32);
    }

    /// Reads from descriptor 4, by 7 bytes at a time.
    fn read(&mut self, times: usize) {
        let iovec = format!(
            "(i32.store (i32.const 32) (i32.const {BUF})) (i32.store (i32.const 36) (i32.const 7))"
        );
        for _ in 0..times {
            self.steps.push_str(&iovec);
            let args = format!("(i32.const 4) (i32.const 32) (i32.const 1) (i32.const {OUT})");
            self.call_and_print("fd_read", &args, OUT, 4);
            self.print(BUF, &format!("(i32.load (i32.const {OUT}))"));
        }
    }

    fn text(self) -> String {
        let mut imports = String::new();
        for (name, params) in FUNCTIONS.iter().filter(|(name, _)| *name != "proc_exit") {
            let types = params
                .chars()
                .map(|c| if c == 'I' { "i64 " } else { "i32 " });
            let types: String = types.collect();
            writeln!(
                imports,
                r#"(import "wasi_snapshot_preview1" "{name}" (func ${name} (param {types}) (result i32)))"#
            )
            .unwrap();
        }
        let Self { data, steps, .. } = self;
        format!(
            r#"(module {imports} (memory (export "memory") 2) {data}
                (func $print (param $at i32) (param $len i32)
                    (i32.store (i32.const 16) (local.get $at))
                    (i32.store (i32.const 20) (local.get $len))
                    (drop (call $fd_write
                        (i32.const 5) (i32.const 16) (i32.const 1) (i32.const 24))))
                (func $print_errno (param $errno i32)
                    (i32.store (i32.const 8) (local.get $errno))
                    (call $print (i32.const 8) (i32.const 4)))
                (func (export "_start") {steps}))"#
        )
    }
}

fn program() -> String {
    let mut program = Program::default();
    program.list();
    program.stat("name-7");
    program.stat("folder");
    program.clocks();
    for name in ["z", "made", "a"] {
        program.open(name);
        let number = format!("(i32.load (i32.const {OUT}))");
        program.call_and_print(
            "fd_filestat_get",
            &format!("{number} (i32.const 128)"),
            128,
            64,
        );
        program.call("fd_close", &number);
    }
    program.list();
    program.sleep();
    program.clocks();
    program.call_and_print(
        "random_get",
        &format!("(i32.const {BUF}) (i32.const 40)"),
        BUF,
        40,
    );
    program.read(4);
    // Numbers that the file system may give out again.
    for name in ["z", "name-3", "again"] {
        program.on_path("path_unlink_file", name);
        program.open("again");
        program.call("fd_close", &format!("(i32.load (i32.const {OUT}))"));
        program.stat("again");
    }
    program.on_path("path_remove_directory", "folder");
    program.on_path("path_create_directory", "other");
    program.stat("other");
    program.call("sched_yield", "");
    for fd in 0..3 {
        program.call_and_print(
            "fd_fdstat_get",
            &format!("(i32.const {fd}) (i32.const {OUT})"),
            OUT,
            24,
        );
    }
    program.list();
    program.clocks();
    program.text()
}

/// Time passes with calls and sleeps.
struct Passing(AtomicU64);

impl ClockSource for Passing {
    fn now(&self, clock: GuestClock) -> u64 {
        let now = self.0.load(Ordering::SeqCst);
        match clock {
            GuestClock::Realtime => TIME + now,
            _ => now,
        }
    }

    fn sleep_until(&self, _: GuestClock, deadline: u64) -> wasmtime::Result<()> {
        self.0.fetch_max(deadline, Ordering::SeqCst);
        Ok(())
    }
}

struct Seeded(Mutex<fastrand::Rng>);

impl RandomSource for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap().fill(bytes);
    }
}

/// What the folder holds, made in an order of its own.
fn fill(dir: &Path, rng: &mut fastrand::Rng) {
    let mut names: Vec<_> = (0..12).collect();
    rng.shuffle(&mut names);
    let folder = rng.usize(..names.len());
    for (at, i) in names.into_iter().enumerate() {
        fs::write(dir.join(format!("name-{i}")), [b'x'; 20]).unwrap();
        if at == folder {
            fs::create_dir(dir.join("folder")).unwrap();
        }
        if rng.bool() {
            // Others come and go at the host.
            fs::write(dir.join("gone"), b"").unwrap();
            fs::remove_file(dir.join("gone")).unwrap();
        }
    }
}

fn run(module: &Module, dir: &Path, seed: u64) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(seed);
    fill(dir, &mut rng);
    let clock = Arc::new(Passing(AtomicU64::new(1)));
    let calls = Arc::clone(&clock);
    let ctx = P1CtxBuilder::new()
        .clocks(clock)
        .before_call(move |_| {
            calls.0.fetch_add(100, Ordering::SeqCst);
            Ok(())
        })
        .on_yield(|| Ok(()))
        .secure_random(Seeded(Mutex::new(fastrand::Rng::with_seed(42))))
        .ordered_listings(true)
        .pinned_metadata(TIME)
        .whole_reads(true)
        .unrepeatable(|_| false)
        .inherit_stdio()
        .preopened_dir(dir, "/", FsPerms::ReadWrite)
        .unwrap()
        .build()
        .unwrap();
    let (input, mut drips) = std::io::pipe().unwrap();
    assert_eq!(ctx.push_stream(input, StreamAccess::Read).unwrap(), 4);
    let (mut output, prints) = std::io::pipe().unwrap();
    assert_eq!(ctx.push_stream(prints, StreamAccess::Write).unwrap(), 5);
    let writer = thread::spawn(move || {
        let mut rest = &b"what somebody says, bit"[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(rng.usize(1..=rest.len().min(9)));
            drips.write_all(piece).unwrap();
            rest = more;
            if rng.u8(..) < 40 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    let reader = thread::spawn(move || {
        let mut all = Vec::new();
        output.read_to_end(&mut all).unwrap();
        all
    });
    let mut store = Store::new(&WORLD.engine, P1State::new(ctx));
    let instance = WORLD.linker.instantiate(&mut store, module).unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start");
    start.unwrap().call(&mut store, ()).unwrap();
    drop(store);
    writer.join().unwrap();
    reader.join().unwrap()
}

#[test]
fn a_program_prints_the_same_bytes_in_every_run() {
    let module = Module::new(&WORLD.engine, program()).unwrap();
    let memory = Path::new(crate::sys::MEMORY);
    let mut first: Option<Vec<u8>> = None;
    for seed in 0..RUNS {
        // Two file systems, where there are two: their numbers, sizes and orders differ.
        let dir = match seed % 2 == 1 && memory.is_dir() {
            true => tempfile::tempdir_in(memory).unwrap(),
            false => tempfile::tempdir().unwrap(),
        };
        let printed = run(&module, dir.path(), seed);
        assert!(printed.len() > 2000, "{}", printed.len());
        let expected = first.get_or_insert_with(|| printed.clone());
        assert!(*expected == printed, "run {seed}");
    }
    let first = first.unwrap();
    let holds = |part: &[u8]| first.windows(part.len()).any(|window| window == part);
    assert!(
        holds(b"mebody ") && holds(b"says, b"),
        "the input, by sevens"
    );
    assert!(!holds(b"gone"));
}
