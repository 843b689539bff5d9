//! What is left of a process that was killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Four threads append records of 512 bytes to one file, for ever: the thread, which one, then
/// bytes that follow from both.
const APPENDS: &str = r#"(module
  (import "env" "memory" (memory 1 1 shared))
  (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (export "memory" (memory 0))
  (func $append (param $who i32) (local $at i32) (local $n i32)
    (local.set $at (i32.add (i32.const 4096) (i32.mul (local.get $who) (i32.const 1024))))
    (i32.store offset=512 (local.get $at) (local.get $at))
    (i32.store offset=516 (local.get $at) (i32.const 512))
    (loop $l
      (memory.fill (local.get $at) (i32.add (local.get $who) (local.get $n)) (i32.const 512))
      (i32.store (local.get $at) (local.get $who))
      (i32.store offset=4 (local.get $at) (local.get $n))
      (if (call $write (i32.load (i32.const 64)) (i32.add (local.get $at) (i32.const 512)) (i32.const 1)
            (i32.add (local.get $at) (i32.const 520)))
        (then (unreachable)))
      (if (i32.ne (i32.load offset=520 (local.get $at)) (i32.const 512)) (then (unreachable)))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 100000)))))
  (func (export "wasi_thread_start") (param i32) (param $who i32) (call $append (local.get $who)))
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 0x00676f6c))
    (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 3) (i32.const 1)
          (i64.const 64) (i64.const 0) (i32.const 1) (i32.const 64))
      (then (unreachable)))
    (drop (call $spawn (i32.const 1)))
    (drop (call $spawn (i32.const 2)))
    (drop (call $spawn (i32.const 3)))
    (i32.store (i32.const 16) (i32.const 0))
    (i32.store (i32.const 20) (i32.const 3))
    (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
    (call $append (i32.const 0))))"#;

/// Every record in the file is whole, and each thread's records are in order and without a gap,
/// because a write of the program is one write of the host. (The system itself may cut records that
/// cross a page.)
#[test]
#[cfg(target_os = "linux")]
fn in_the_middle_of_appends() {
    for _ in 0..5 {
        let folder = tempfile::tempdir().unwrap();
        let module = folder.path().join("appends.wat");
        std::fs::write(&module, APPENDS).unwrap();
        let mut host = Command::new(env!("CARGO_BIN_EXE_wasi-threads-run"))
            .args(["-C", "cache=n", "--dir"])
            .arg(format!("{}::/", folder.path().display()))
            .arg(&module)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let log = folder.path().join("log");
        let some = || std::fs::metadata(&log).is_ok_and(|log| log.len() > 100 * 512);
        let began = Instant::now();
        while !some() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "nothing is written"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        host.kill().unwrap();
        host.wait().unwrap();
        let bytes = std::fs::read(&log).unwrap();
        let (records, rest) = bytes.as_chunks::<512>();
        assert!(
            rest.is_empty() && !records.is_empty(),
            "{} bytes",
            bytes.len()
        );
        let mut next = [0; 4];
        for record in records {
            let word = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
            let (who, number) = (word(0), word(4));
            assert_eq!(number, next[who as usize], "thread {who}");
            next[who as usize] += 1;
            let fill = (who + number) as u8;
            assert!(
                record[8..].iter().all(|byte| *byte == fill),
                "thread {who}, {number}"
            );
        }
    }
}
