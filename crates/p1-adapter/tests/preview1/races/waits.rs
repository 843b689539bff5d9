//! A blocked call delays no other thread's call, on another descriptor or on the same.

use super::calls::{Calls, Corner, OneLock, Ours};
use super::{CROWDS, Check, rounds};
use crate::guest::*;
use p1_adapter::{P1Ctx, StreamAccess};
use std::fs;
use std::io::{PipeWriter, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};
use wasmtime::Val;

/// A pipe whose reading end the guest has, and its number.
pub(super) fn stream(ctx: &P1Ctx) -> (i32, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let fd = ctx.push_stream(reader, StreamAccess::Read).unwrap();
    (fd as i32, writer)
}

/// Starts a thread and comes back when it sleeps in `poll(2)`.
pub(crate) fn blocked<'s, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    run: impl FnOnce() -> R + Send + 's,
) -> ScopedJoinHandle<'s, R> {
    let (said, tid) = std::sync::mpsc::channel();
    let thread = scope.spawn(move || {
        said.send(rustix::thread::gettid()).unwrap();
        run()
    });
    let tid = tid.recv().unwrap().as_raw_nonzero();
    let start = Instant::now();
    // A thread that does not block shows in what it returns. A panic here would leave the others
    // blocked.
    while !polls(tid.get()) && !thread.is_finished() && start.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_micros(200));
    }
    thread
}

/// Whether a thread of this process is in `poll` or `ppoll`.
fn polls(tid: i32) -> bool {
    let Ok(call) = fs::read_to_string(format!("/proc/self/task/{tid}/syscall")) else {
        return false;
    };
    let number = call.split(' ').next().and_then(|n| n.parse().ok());
    number.is_some_and(waiting_calls::is_poll)
}

/// One thread is blocked in a read of a pipe; the others must be done with everything else within
/// `bound`.
fn a_blocked_read_delays_nobody(calls: &dyn Calls, n: u32, bound: Duration) -> Check {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("spare"), b"").unwrap();
    let ctx = ctx_with(dir.path());
    let (fd, mut writer) = stream(&ctx);
    let (other, mut to_other) = stream(&ctx);
    to_other.write_all(&vec![b'o'; n as usize]).unwrap();
    let guest = Guest::shared(&ctx);
    let done = AtomicU32::new(0);
    let done = &done;
    std::thread::scope(|scope| {
        let mut blocked_guest = guest.thread();
        let reader = blocked(scope, move || {
            calls.read(&mut blocked_guest, Corner::of(0), fd, 1)
        });
        let busy: Vec<_> = (1..n)
            .map(|i| {
                let mut guest = guest.thread();
                scope.spawn(move || {
                    busy(calls, &mut guest, i, fd, other);
                    done.fetch_add(1, Ordering::Release);
                })
            })
            .collect();
        let wait = |count| {
            let start = Instant::now();
            while done.load(Ordering::Acquire) < count && start.elapsed() < bound {
                std::thread::sleep(Duration::from_micros(200));
            }
            done.load(Ordering::Acquire) == count
        };
        let all = wait(n - 1);
        // Last, the number goes to another file, and away.
        let closer = all.then(|| {
            let mut guest = guest.thread();
            scope.spawn(move || {
                let file = calls.open(&mut guest, Corner::of(n), "spare").unwrap();
                let numbers = [Val::I32(file), Val::I32(fd)];
                assert_eq!(calls.other(&mut guest, "fd_renumber", &numbers), OK);
                assert_eq!(calls.other(&mut guest, "fd_close", &[Val::I32(fd)]), OK);
                done.fetch_add(1, Ordering::Release);
            })
        });
        let closed = all && wait(n);
        writer.write_all(b"p").unwrap();
        let read = reader.join().unwrap();
        for thread in busy.into_iter().chain(closer) {
            thread.join().unwrap();
        }
        if read != Ok(b"p".to_vec()) {
            return Err(format!("the blocked read got {read:?}"));
        }
        match (all, closed) {
            (true, true) => Ok(()),
            (true, false) => Err("renumbering or closing was delayed".to_owned()),
            _ => Err("a call was delayed".to_owned()),
        }
    })
}

/// Calls on the descriptor another thread is blocked on, and on others.
fn busy(calls: &dyn Calls, guest: &mut Guest, i: u32, fd: i32, other: i32) {
    let at = Corner::of(i);
    let path = format!("file-{i}");
    for name in ["fd_fdstat_get", "fd_filestat_get"] {
        let args = [Val::I32(fd), Val::I32(at.data() as i32)];
        assert_eq!(calls.other(guest, name, &args), OK);
    }
    assert_eq!(calls.poll(guest, at, fd), OK);
    assert_eq!(calls.read(guest, at, other, 1), Ok(b"o".to_vec()));
    let file = at
        .open(guest, &path, CREAT, READ | WRITE, 0)
        .expect("a file of its own");
    assert_eq!(calls.write(guest, at, file, b"abc"), Ok(3));
    assert_eq!(at.pread(guest, file, 3, 0), Ok(b"abc".to_vec()));
    assert_eq!(calls.other(guest, "fd_close", &[Val::I32(file)]), OK);
}

#[test]
fn a_blocked_call_delays_nobody() {
    for n in CROWDS {
        for _ in 0..rounds(3) {
            a_blocked_read_delays_nobody(&Ours, n, Duration::from_secs(20)).unwrap();
        }
        let broken = OneLock(Mutex::new(()));
        a_blocked_read_delays_nobody(&broken, n, Duration::from_millis(200)).unwrap_err();
    }
}
