//! What blocking costs the process: no runtime, no helper thread, and one descriptor for a whole
//! group.
//!
//! One test in a binary of its own, because it counts what the process has. It reads `/proc`.
#![cfg(target_os = "linux")]

#[path = "guest/mod.rs"]
mod guest;
#[path = "blocking/support.rs"]
#[allow(dead_code, unused_imports)]
mod support;
#[path = "sys/mod.rs"]
mod sys;

use guest::{DATA, Guest, OK, OUT};
use p1_adapter::{Interrupted, P1CtxBuilder, StreamAccess};
use std::thread;
use support::{eventually, pipe, soon};
use wasmtime::Val::{I32, I64};

fn tasks() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// How many event descriptors and event polls are open: a runtime has some of each.
fn events() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.to_str().is_some_and(|t| t.contains("[event")))
        .count()
}

/// `poll_oneoff` on a relative clock, in nanoseconds.
fn sleep(guest: &mut Guest, nanoseconds: u64) -> i32 {
    let mut subscription = [0; 48];
    subscription[16] = 1;
    subscription[24..32].copy_from_slice(&nanoseconds.to_le_bytes());
    guest.write(DATA, &subscription);
    let args = [
        I32(DATA as i32),
        I32(DATA as i32 + 64),
        I32(1),
        I32(OUT as i32),
    ];
    guest.call("poll_oneoff", &args)
}

#[test]
fn blocking_costs_one_descriptor_for_all_threads() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let ctx = P1CtxBuilder::new()
            .inherit_stdio()
            .preopened_dir(dir.path(), "/", wasmtime_wasi::FsPerms::ReadWrite)
            .unwrap()
            .build()
            .unwrap();
        let (read, write) = pipe();
        let input = ctx.push_stream(read, StreamAccess::Read).unwrap() as i32;
        let mut guest = Guest::shared(&ctx);
        let before = tasks();
        // That of the context's end signal, which is there from the start: later the program may
        // have used up all others.
        assert_eq!(events(), 1);

        // Nothing that waits.
        let file = guest.create("file");
        assert_eq!(guest.put(file, b"contents"), Ok(8));
        assert_eq!(guest.seek(file, 0, 0), Ok(0));
        assert_eq!(guest.get(file, 99), Ok(b"contents".to_vec()));
        assert_eq!(
            guest.put(2, b"(a guest writes to standard error)\n"),
            Ok(35)
        );
        rustix::io::write(&write, b"x").unwrap();
        assert_eq!(guest.get(input, 9), Ok(b"x".to_vec()));
        assert_eq!(
            guest.call("clock_time_get", &[I32(1), I64(0), I32(OUT as i32)]),
            OK
        );
        assert_eq!((tasks(), events()), (before, 1), "nothing has waited");

        // A sleep, then fifty threads in one read.
        assert_eq!(sleep(&mut guest, 1_000_000), OK);
        assert_eq!((tasks(), events()), (before, 1));
        let blocked: Vec<_> = (0..50)
            .map(|_| {
                let mut guest = guest.thread();
                thread::spawn(move || {
                    let [list, count] = guest.iovs(&[(DATA, 8)]);
                    let args = [I32(input), list, count, I32(OUT as i32)];
                    guest.try_call("fd_read", &args).unwrap_err()
                })
            })
            .collect();
        // The kernel tells which call a thread is in.
        let waiting = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            tasks
                .flatten()
                .filter_map(|task| std::fs::read_to_string(task.path().join("syscall")).ok())
                .filter_map(|call| call.split(' ').next()?.parse().ok())
                .filter(|call| sys::waiting_calls::is_poll(*call))
                .count()
        };
        assert!(eventually(|| waiting() >= 50), "{} in ppoll", waiting());
        assert_eq!((tasks(), events()), (before + 50, 1));
        ctx.end_signal().raise();
        for thread in blocked {
            let error = thread.join().unwrap();
            assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
        }
        assert!(eventually(|| tasks() == before));

        // The counts would show a runtime: an embedder's stream starts wasmtime-wasi's.
        let ctx = P1CtxBuilder::new()
            .stdin(wasmtime_wasi::p2::pipe::MemoryInputPipe::new("x"))
            .build()
            .unwrap();
        let mut guest = Guest::new(&ctx);
        assert_eq!(guest.get(0, 1), Ok(b"x".to_vec()));
        assert!(tasks() > before && events() > 1);
    });
}
