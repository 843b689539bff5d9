//! `poll_oneoff` as a guest calls it.

use crate::calls::{Calls, Corner, OneLock, Ours};
use crate::guest::{
    BADF, DATA, Guest, INVAL, NOMEM, NONBLOCK, NOTCAPABLE, OK, OUT, READ, WRITE, ctx_with,
};
use crate::support::{
    CROWDS, Check, all_blocked, all_blocked_in, eventually, pipe, rounds, sockets, soon, within,
};
use p1_adapter::fd::AsFd;
use p1_adapter::{Interrupted, P1Ctx, P1CtxBuilder, StreamAccess};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::Val::{I32, I64};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

const IN: u32 = DATA;
const EVENTS: u32 = DATA + 0x8000;
const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;
const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const MS: u64 = 1_000_000;

/// One subscription, as it lies in memory: 48 bytes.
fn subscription(userdata: u64, tag: u8, fields: &[(usize, &[u8])]) -> [u8; 48] {
    let mut bytes = [0xaa; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = tag;
    for (at, field) in fields {
        bytes[*at..*at + field.len()].copy_from_slice(field);
    }
    bytes
}

fn clock(userdata: u64, id: u32, timeout: u64, absolute: bool) -> [u8; 48] {
    let flags = u16::from(absolute).to_le_bytes();
    let fields: [(usize, &[u8]); 4] = [
        (16, &id.to_le_bytes()),
        (24, &timeout.to_le_bytes()),
        (32, &0u64.to_le_bytes()),
        (40, &flags),
    ];
    subscription(userdata, CLOCK, &fields)
}

fn on(userdata: u64, tag: u8, fd: i32) -> [u8; 48] {
    subscription(userdata, tag, &[(16, &fd.to_le_bytes())])
}

#[derive(Debug, PartialEq, Eq)]
struct Event {
    userdata: u64,
    error: u16,
    tag: u8,
    nbytes: u64,
    hangup: bool,
}

fn event(userdata: u64, tag: u8, nbytes: u64) -> Event {
    Event {
        userdata,
        error: 0,
        tag,
        nbytes,
        hangup: false,
    }
}

impl Guest {
    fn poll(&mut self, subscriptions: &[[u8; 48]]) -> Result<Vec<Event>, i32> {
        for (i, one) in (0..).zip(subscriptions) {
            self.write(IN + i * 48, one);
        }
        let args = [
            I32(IN as i32),
            I32(EVENTS as i32),
            I32(subscriptions.len() as i32),
            I32(OUT as i32),
        ];
        match self.call("poll_oneoff", &args) {
            OK => {}
            errno => return Err(errno),
        }
        let count = self.u32(OUT);
        Ok((0..count)
            .map(|i| {
                let e = self.read(EVENTS + i * 32, 32);
                let word = |at: usize| u64::from_le_bytes(e[at..at + 8].try_into().unwrap());
                Event {
                    userdata: word(0),
                    error: u16::from_le_bytes([e[8], e[9]]),
                    tag: e[10],
                    nbytes: word(16),
                    hangup: e[24] & 1 != 0,
                }
            })
            .collect())
    }

    fn now(&mut self, id: u32) -> u64 {
        let args = [I32(id as i32), I64(0), I32(OUT as i32)];
        assert_eq!(self.call("clock_time_get", &args), OK);
        self.u64(OUT)
    }
}

fn ctx() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

#[test]
fn every_clock_relative_and_absolute() {
    soon(|| {
        for make in [Guest::new, Guest::shared] {
            let mut guest = make(&ctx());
            for id in [REALTIME, MONOTONIC] {
                for absolute in [false, true] {
                    let base = if absolute { guest.now(id) } else { 0 };
                    let start = Instant::now();
                    let sub = clock(0xfeed_beef_0000_0001, id, base + 40 * MS, absolute);
                    let events = guest.poll(&[sub]).unwrap();
                    assert_eq!(events, [event(0xfeed_beef_0000_0001, CLOCK, 0)]);
                    let took = start.elapsed();
                    assert!(took >= Duration::from_millis(39), "{took:?}");
                    assert!(took < Duration::from_millis(600), "{took:?}");
                }
                // In the past, and at once.
                for (timeout, absolute) in [(0, false), (0, true), (1, true)] {
                    let start = Instant::now();
                    assert_eq!(
                        guest
                            .poll(&[clock(7, id, timeout, absolute)])
                            .unwrap()
                            .len(),
                        1
                    );
                    assert!(start.elapsed() < Duration::from_millis(200));
                }
            }
            for id in [2, 3] {
                assert_eq!(
                    guest.poll(&[clock(1, id, 1, false)]),
                    Err(INVAL),
                    "CPU time"
                );
            }
            assert_eq!(
                guest.poll(&[clock(1, 4, 1, false)]),
                Err(INVAL),
                "no such clock"
            );
            assert_eq!(
                guest.poll(&[subscription(1, 3, &[])]),
                Err(INVAL),
                "no such tag"
            );
            assert_eq!(guest.poll(&[]), Err(INVAL));
        }
    });
}

/// The earlier clock is reported, the later is not; two that are due both are.
#[test]
fn several_clocks() {
    soon(|| {
        let mut guest = Guest::new(&ctx());
        let hour = 3_600_000 * MS;
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64;
        let events = guest
            .poll(&[
                clock(1, MONOTONIC, hour, false),
                clock(2, REALTIME, wall + 20 * MS, true),
                clock(3, MONOTONIC, u64::MAX, false),
                clock(4, REALTIME, u64::MAX, true),
                clock(5, MONOTONIC, u64::MAX, true),
            ])
            .unwrap();
        assert_eq!(events, [event(2, CLOCK, 0)]);
        let events = guest
            .poll(&[clock(1, MONOTONIC, 0, false), clock(2, REALTIME, 1, true)])
            .unwrap();
        assert_eq!(events, [event(1, CLOCK, 0), event(2, CLOCK, 0)]);
    });
}

#[test]
fn any_mix_of_descriptors() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let ctx = P1CtxBuilder::new()
            .stdin(MemoryInputPipe::new("x"))
            .stdout(MemoryOutputPipe::new(100))
            .preopened_dir(dir.path(), "/", wasmtime_wasi::FsPerms::ReadWrite)
            .unwrap()
            .build()
            .unwrap();
        let ((pipe_in, pipe_out), (socket, peer)) = (pipe(), sockets());
        let keep = pipe_out.as_fd().try_clone_to_owned().unwrap();
        let r = ctx.push_stream(pipe_in, StreamAccess::Read).unwrap() as i32;
        let w = ctx.push_stream(pipe_out, StreamAccess::Write).unwrap() as i32;
        let s = ctx.push_stream(socket, StreamAccess::ReadWrite).unwrap() as i32;
        let mut guest = Guest::shared(&ctx);
        let file = guest.create("file");
        assert_eq!(guest.put(file, b"0123456789"), Ok(10));
        assert_eq!(guest.seek(file, 4, 0), Ok(4));

        // What is ready, in order; what is not, is not there.
        let all = [
            on(1, FD_READ, 0),
            on(2, FD_WRITE, 1),
            on(3, FD_READ, r),
            on(4, FD_WRITE, w),
            on(5, FD_READ, s),
            on(6, FD_WRITE, s),
            on(7, FD_READ, file),
            on(8, FD_WRITE, file),
            clock(9, MONOTONIC, 3_600_000 * MS, false),
        ];
        let mut seen = Vec::new();
        // The embedder's own streams may need a moment to say that they are ready.
        eventually(|| {
            let events = guest.poll(&all).unwrap();
            assert!(
                events.iter().all(|e| e.error == 0 && !e.hangup),
                "{events:?}"
            );
            seen = events
                .iter()
                .map(|e| (e.userdata, e.tag, e.nbytes))
                .collect();
            seen.len() == 6
        });
        let expected = [
            (1, FD_READ, 1),
            (2, FD_WRITE, 1),
            (4, FD_WRITE, 1),
            (6, FD_WRITE, 1),
            (7, FD_READ, 6),
            (8, FD_WRITE, 1),
        ];
        assert_eq!(seen, expected);
        assert_eq!(
            guest.poll(&[on(1, FD_READ, 0)]).unwrap(),
            [event(1, FD_READ, 1)]
        );
        assert_eq!(
            guest.poll(&[on(2, FD_WRITE, 1)]).unwrap(),
            [event(2, FD_WRITE, 1)]
        );

        crate::sys::write(&keep, b"abc").unwrap();
        crate::sys::write(&peer, b"12345").unwrap();
        let events = guest.poll(&[on(3, FD_READ, r), on(5, FD_READ, s)]).unwrap();
        assert_eq!(events, [event(3, FD_READ, 3), event(5, FD_READ, 5)]);

        // A file at its end, a pipe whose writers have gone.
        assert_eq!(guest.seek(file, 0, 2), Ok(10));
        let events = guest.poll(&[on(7, FD_READ, file)]).unwrap();
        assert!(!events[0].hangup && events[0].nbytes == 0, "{events:?}");
        assert_eq!(guest.get(r, 16), Ok(b"abc".to_vec()));
        drop(keep);
        assert_eq!(guest.close(w), OK);
        let events = guest.poll(&[on(3, FD_READ, r)]).unwrap();
        assert!(events[0].hangup && events[0].nbytes == 0, "{events:?}");
    });
}

/// A bad subscription is an event among others; alone it is the call's own error.
#[test]
fn a_bad_descriptor_does_not_spoil_the_rest() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        let ctx = ctx_with(dir.path());
        let mut guest = Guest::new(&ctx);
        let file = guest.create("file");
        let rights = (READ | WRITE, READ | WRITE);
        let args = [I32(file), I64(rights.0), I64(rights.1)];
        let mixed = [
            on(1, FD_READ, 99),
            on(2, FD_WRITE, 0),
            on(3, FD_READ, 98),
            clock(4, MONOTONIC, 3_600_000 * MS, false),
            on(5, FD_WRITE, file),
        ];
        let errors = |events: Vec<Event>| -> Vec<_> {
            events
                .iter()
                .map(|e| (e.userdata, i32::from(e.error)))
                .collect()
        };
        let events = guest.poll(&mixed).unwrap();
        assert_eq!(errors(events), [(1, BADF), (2, BADF), (3, BADF), (5, 0)]);
        assert_eq!(guest.call("fd_fdstat_set_rights", &args), OK);
        let events = guest.poll(&mixed).unwrap();
        assert_eq!(
            errors(events),
            [(1, BADF), (2, BADF), (3, BADF), (5, NOTCAPABLE)]
        );
        assert_eq!(guest.poll(&mixed[..1]), Err(BADF));
        assert_eq!(guest.poll(&mixed[..3]), Err(BADF));
        assert_eq!(
            guest.poll(&[mixed[4], mixed[0]]),
            Err(NOTCAPABLE),
            "the first one's"
        );
    });
}

/// Standard input at its end from the start, as with `/dev/null`, and really `/dev/null`.
#[test]
fn an_empty_standard_input_is_ready() {
    soon(|| {
        let null = std::fs::File::open(crate::sys::NULL).unwrap();
        let ctx = ctx();
        let fd = ctx.push_stream(null, StreamAccess::Read).unwrap() as i32;
        let mut guest = Guest::new(&ctx);
        let hour = clock(3, MONOTONIC, 3_600_000 * MS, false);
        for fd in [0, fd] {
            let events = guest.poll(&[on(1, FD_READ, fd), hour]).unwrap();
            assert_eq!(
                (events.len(), events[0].userdata, events[0].error),
                (1, 1, 0)
            );
            assert_eq!(guest.get(fd, 8), Ok(vec![]));
        }
    });
}

/// Many threads poll and read one stream; data wakes them, a close does not disturb them, the
/// signal ends them.
fn many_poll(calls: &dyn Calls, n: usize) -> Check {
    let ctx = ctx();
    let (pipe_in, pipe_out) = pipe();
    let fd = ctx.push_stream(pipe_in, StreamAccess::Read).unwrap() as i32;
    let mut first = Guest::shared(&ctx);
    // With the one that looks on, n.
    thread::scope(|scope| {
        let pollers = (1..n).map(|i| {
            let mut guest = first.thread();
            move || {
                let at = Corner::of(i);
                let args = at.poll(&mut guest, fd, false, true);
                calls.call(&mut guest, at, "poll_oneoff", &args)
            }
        });
        let pollers = all_blocked_in(scope, pollers);
        let done = Arc::new(AtomicUsize::new(0));
        let looking = {
            let (mut guest, done) = (first.thread(), done.clone());
            scope.spawn(move || {
                let at = Corner::of(n);
                let args = at.poll(&mut guest, fd, false, false);
                let looked = calls.call(&mut guest, at, "poll_oneoff", &args);
                done.store(1, Ordering::SeqCst);
                looked
            })
        };
        let in_time = within(calls.patience(), || done.load(Ordering::SeqCst) == 1);
        let early = pollers.iter().filter(|p| p.is_finished()).count();
        crate::sys::write(&pipe_out, b"!").unwrap();
        let mut answers: Vec<_> = pollers.into_iter().map(|p| p.join().unwrap()).collect();
        answers.push(looking.join().unwrap());
        match (early, in_time) {
            (0, true) if answers.iter().all(|errno| *errno == OK) => Ok(()),
            _ => Err(format!("{early} early, in time: {in_time}, {answers:?}")),
        }
    })?;
    assert_eq!(first.get(fd, 8), Ok(b"!".to_vec()));

    let waiting = all_blocked((1..n).map(|i| {
        let mut guest = first.thread();
        move || {
            let at = Corner::of(i);
            let (name, args) = match i % 2 {
                0 => ("poll_oneoff", at.poll(&mut guest, fd, false, true)),
                _ => ("fd_read", at.args(&mut guest, fd, 1, &[at.out()])),
            };
            guest.try_call(name, &args)
        }
    }));
    assert_eq!(
        first.call("fd_fdstat_set_flags", &[I32(fd), I32(NONBLOCK)]),
        OK
    );
    assert_eq!(first.close(fd), OK);
    assert_eq!(first.get(fd, 8), Err(BADF));
    assert!(waiting.iter().all(|thread| !thread.is_finished()));
    ctx.end_signal().raise();
    for thread in waiting {
        let error = thread.join().unwrap().unwrap_err();
        assert!(error.is::<Interrupted>(), "{error:?}");
    }
    Ok(())
}

#[test]
fn polls_of_many_threads() {
    soon(|| {
        for n in CROWDS {
            for _ in 0..rounds(3) {
                many_poll(&Ours, n).unwrap();
            }
            many_poll(&OneLock::default(), n).unwrap_err();
        }
    });
}

/// The lists cost fuel, so a guest cannot make the host allocate without bound.
#[test]
fn a_poll_costs_fuel() {
    soon(|| {
        let mut guest = Guest::new(&ctx());
        // Some 370 bytes each: what the guest wrote, what is kept of it, what is reported.
        guest.store.set_hostcall_fuel(2000);
        let sub = clock(1, MONOTONIC, 0, false);
        assert_eq!(guest.poll(&[sub; 5]).unwrap().len(), 5);
        assert_eq!(guest.poll(&[sub; 6]), Err(NOMEM));
    });
}
