//! Which thread takes signals, and what one signal does.
#![cfg(target_os = "linux")]

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use integration_tests::emulated::less;

/// SIGINT, SIGQUIT and SIGTERM in a mask of signals.
const TAKEN: u64 = 1 << 1 | 1 << 2 | 1 << 14;

/// SIGTERM's status.
const TERMINATED: i32 = 128 + 15;

/// Four threads wait; main says so, and computes.
const WAITS: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (export "memory" (memory 0))
  (func (export "wasi_thread_start") (param i32 i32)
    (drop (memory.atomic.wait32 (i32.const 64) (i32.const 0) (i64.const -1))))
  (func (export "_start") (local $n i32)
    (loop $l (drop (call $spawn (i32.const 0)))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 4))))
    (i32.store (i32.const 4) (i32.const 1))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
    (loop $l (br $l))))"#;

/// Writes to stdout for ever.
const WRITES: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (i32.store (i32.const 4) (i32.const 65536))
    (loop $l
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br $l))))"#;

fn command(folder: &Path, options: &[&str], module: &str) -> Command {
    let path = folder.join("guest.wat");
    std::fs::write(&path, module).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasi-threads-run"));
    // The thread of the cache is there, too.
    command.env("XDG_CACHE_HOME", folder).stdin(Stdio::null());
    command.args(options).arg(path);
    command
}

/// A process that is gone when the test is over, whatever becomes of that.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn terminate(&self) {
        let pid = self.0.id().to_string();
        let status = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        assert!(status.success());
    }

    fn ends_with(mut self, status: i32) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) {
            if let Some(found) = self.0.try_wait().unwrap() {
                assert_eq!(found.code(), Some(status), "{found}");
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("it has not ended");
    }
}

/// The cache's thread must not take them. Its priority is low, so beside threads that compute it
/// gets a processor half a second late.
#[test]
fn one_thread_takes_signals_and_the_others_block_them() {
    let folder = tempfile::tempdir().unwrap();
    let child = command(folder.path(), &[], WAITS)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Running(child);
    let mut said = [0];
    child
        .0
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut said)
        .unwrap();
    let tasks = format!("/proc/{}/task", child.0.id());
    let (mut takes, mut blocks) = (Vec::new(), 0);
    for task in std::fs::read_dir(tasks).unwrap() {
        let task = task.unwrap().path();
        let status = std::fs::read_to_string(task.join("status")).unwrap();
        let signals = |name: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(found.unwrap().trim(), 16).unwrap()
        };
        // What is ignored from the start is not taken: SIGINT and SIGQUIT in the background of a
        // shell.
        let taken = TAKEN & !signals("SigIgn:");
        match signals("SigBlk:") & taken {
            0 => takes.push(std::fs::read_to_string(task.join("comm")).unwrap()),
            all => {
                assert_eq!(all, taken, "{status}");
                blocks += 1;
            }
        }
    }
    assert_eq!(takes, ["signals\n"]);
    // Main, the cache's, the one for reports, and the guest's five.
    assert!(blocks >= 8, "{blocks}");
    child.terminate();
    child.ends_with(TERMINATED);
}

/// The first one was once only noted there, and a second was needed.
#[test]
fn one_signal_ends_a_process_that_blocks_in_saying_how_its_program_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    // The pipe is full before the process starts. On a slow machine the time limit would come
    // before the program has filled it, and the message would find room.
    let written = Arc::new(AtomicUsize::new(0));
    let filling = {
        let (mut writer, written) = (writer.try_clone().unwrap(), Arc::clone(&written));
        // Until the reader is gone.
        std::thread::spawn(move || {
            while writer.write_all(&[0; 512]).is_ok() {
                written.fetch_add(512, Relaxed);
            }
        })
    };
    let mut before = 0;
    while before == 0 || before != written.load(Relaxed) {
        before = written.load(Relaxed);
        std::thread::sleep(Duration::from_millis(100));
    }
    // By then it takes signals.
    let timeout = less("300ms", "5s");
    let child = command(folder.path(), &["--timeout", timeout], WRITES)
        .stdout(writer.try_clone().unwrap())
        .stderr(writer)
        .spawn()
        .unwrap();
    let child = Running(child);
    std::thread::sleep(Duration::from_millis(less(1500, 15_000)));
    child.terminate();
    child.ends_with(TERMINATED);
    drop(reader);
    filling.join().unwrap();
}
