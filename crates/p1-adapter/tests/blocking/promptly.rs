//! How soon a blocked call ends after the signal: 10 ms, by the clock, for every kind of wait a
//! guest can be in.
//!
//! The test asserts the median of many rounds. A loaded machine delays some threads by a time
//! slice, which says nothing about this crate, but it does not delay half of them.

#[cfg(unix)]
use crate::guest::DIR;
use crate::guest::emulated::slower;
use crate::guest::{DATA, Guest, OUT};
use crate::support::{
    CROWDS, Check, IMPATIENCE, all_blocked, bound, rounds, sockets, soon, within,
};
use p1_adapter::{EndSignal, Interrupted, P1Ctx, P1CtxBuilder, StreamAccess};
use std::any::Any;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
#[cfg(unix)]
use wasmtime::Val::I64;
use wasmtime::Val::{self, I32};
#[cfg(unix)]
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::cli::AsyncStdinStream;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Longer in an emulator.
fn aim() -> Duration {
    slower(Duration::from_millis(10))
}

/// A context, what keeps a call on it waiting, and the call.
type Blocked = (P1Ctx, Box<dyn Any>, Call);

/// What a guest calls.
type Call = fn(&mut Guest) -> (&'static str, Vec<Val>);

fn bare() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

fn transfer(
    guest: &mut Guest,
    name: &'static str,
    fd: i32,
    more: &[i32],
) -> (&'static str, Vec<Val>) {
    let [list, count] = guest.iovs(&[(DATA, 0x30000)]);
    let mut args = vec![I32(fd), list, count];
    args.extend(more.iter().map(|n| I32(*n)));
    (name, args)
}

/// A kind of blocked call: what it is called, and how to make one.
type Blocking = (&'static str, fn() -> Blocked);

/// Pushed descriptors get number 3.
fn kinds() -> Vec<Blocking> {
    const OUTS: i32 = OUT as i32;
    vec![
        ("read of a pipe", || {
            let (ctx, (read, write)) = (bare(), crate::support::pipe());
            ctx.push_stream(read, StreamAccess::Read).unwrap();
            (ctx, Box::new(write), |guest| {
                transfer(guest, "fd_read", 3, &[OUTS])
            })
        }),
        ("write to a full pipe", || {
            let (ctx, (read, write)) = (bare(), crate::support::pipe());
            ctx.push_stream(write, StreamAccess::Write).unwrap();
            (ctx, Box::new(read), |guest| {
                transfer(guest, "fd_write", 3, &[OUTS])
            })
        }),
        ("read of an embedder's stream", || {
            let (ours, theirs) = tokio::io::duplex(64);
            let stdin = with_ambient_tokio_runtime(|| AsyncStdinStream::new(ours));
            let ctx = P1CtxBuilder::new().stdin(stdin).build().unwrap();
            (ctx, Box::new(theirs), |guest| {
                transfer(guest, "fd_read", 0, &[OUTS])
            })
        }),
        ("receive", || {
            let (ctx, (ours, theirs)) = (bare(), sockets());
            ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
            (ctx, Box::new(theirs), |guest| {
                transfer(guest, "sock_recv", 3, &[0, OUTS, OUTS + 4])
            })
        }),
        ("receive of all", || {
            let (ctx, (ours, theirs)) = (bare(), sockets());
            ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
            crate::sys::write(&theirs, b"some").unwrap();
            (ctx, Box::new(theirs), |guest| {
                const WAITALL: i32 = 2;
                transfer(guest, "sock_recv", 3, &[WAITALL, OUTS, OUTS + 4])
            })
        }),
        ("send", || {
            let (ctx, (ours, theirs)) = (bare(), sockets());
            crate::sys::keep_little(&ours);
            ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
            (ctx, Box::new(theirs), |guest| {
                transfer(guest, "sock_send", 3, &[0, OUTS])
            })
        }),
        ("accept", || {
            let ctx = bare();
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            ctx.push_listener(listener).unwrap();
            (ctx, Box::new(()), |_| {
                ("sock_accept", vec![I32(3), I32(0), I32(OUTS)])
            })
        }),
        ("sleep", || {
            (bare(), Box::new(()), |guest| {
                let mut hour = [0; 48];
                hour[16] = 1;
                hour[24..32].copy_from_slice(&3_600_000_000_000u64.to_le_bytes());
                guest.write(DATA, &hour);
                let args = [DATA as i32, DATA as i32 + 64, 1, OUTS];
                ("poll_oneoff", args.map(I32).to_vec())
            })
        }),
        ("poll of a pipe", || {
            let (ctx, (read, write)) = (bare(), crate::support::pipe());
            ctx.push_stream(read, StreamAccess::Read).unwrap();
            (ctx, Box::new(write), |guest| {
                let mut subscription = [0; 48];
                subscription[8] = 1;
                subscription[16] = 3;
                guest.write(DATA, &subscription);
                let args = [DATA as i32, DATA as i32 + 64, 1, OUTS];
                ("poll_oneoff", args.map(I32).to_vec())
            })
        }),
        // Windows has none to open.
        #[cfg(unix)]
        ("open of a FIFO", || {
            let (dir, _) = crate::support::fifo();
            let ctx = P1CtxBuilder::new()
                .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
                .unwrap()
                .build()
                .unwrap();
            (ctx, Box::new(dir), |guest| {
                let mut args = guest.open_args(DIR, "fifo", 0, 2, 0).to_vec();
                args[5] = I64(2);
                ("path_open", args)
            })
        }),
    ]
}

/// Starts `n` guests that make the call, which waits.
fn start(n: usize, ctx: &P1Ctx, call: Call) -> Vec<JoinHandle<(wasmtime::Result<i32>, Instant)>> {
    let first = Guest::shared(ctx);
    all_blocked((0..n).map(|_| {
        let mut guest = first.thread();
        move || {
            // All write the same.
            let (name, args) = call(&mut guest);
            let mut returned = guest.try_call(name, &args);
            // The first sends may fit.
            while name == "sock_send" && returned.is_ok() {
                returned = guest.try_call(name, &args);
            }
            (returned, Instant::now())
        }
    }))
}

fn is_interrupted(returned: &wasmtime::Result<i32>) -> bool {
    matches!(returned, Err(error) if error.is::<Interrupted>())
}

/// From just before the signal is raised, by `raise`, until the guest's call has returned.
fn latency(make: fn() -> Blocked, raise: fn(&EndSignal)) -> Duration {
    let (ctx, _peer, call) = make();
    let thread = start(1, &ctx, call).pop().unwrap();
    let raised = Instant::now();
    raise(ctx.end_signal());
    let (returned, at) = thread.join().unwrap();
    assert!(is_interrupted(&returned), "{returned:?}");
    at.saturating_duration_since(raised)
}

fn is_prompt(what: &str, make: fn() -> Blocked, rounds: u64, raise: fn(&EndSignal)) -> Check {
    let mut all: Vec<_> = (0..rounds).map(|_| latency(make, raise)).collect();
    all.sort_unstable();
    let (median, worst) = (all[all.len() / 2], all[all.len() - 1]);
    eprintln!("{what}: median {median:?}, worst {worst:?}");
    match median <= aim() {
        true => Ok(()),
        false => Err(format!("{what}: {median:?}")),
    }
}

#[test]
fn every_blocked_call_ends_within_ten_milliseconds() {
    soon(|| {
        for (what, make) in kinds() {
            is_prompt(what, make, rounds(41), EndSignal::raise).unwrap();
            // A signal that is passed on a little late.
            let late = |end: &EndSignal| {
                thread::sleep(aim() + aim() / 10);
                end.raise();
            };
            is_prompt(what, make, 3, late).unwrap_err();
        }
    });
}

/// All `n` threads end by a trap, and so do their later calls.
fn all_end(what: &str, make: fn() -> Blocked, n: usize, within_: Duration, deaf: bool) -> Check {
    let (ctx, peer, call) = make();
    let threads = start(n, &ctx, call);
    let early = threads.iter().filter(|thread| thread.is_finished()).count();
    let signal = match deaf {
        true => EndSignal::new(),
        false => ctx.end_signal().clone(),
    };
    signal.raise();
    let ended = || threads.iter().all(|thread| thread.is_finished());
    let in_time = within(within_, ended);
    let later = Guest::new(&ctx).try_call("fd_close", &[I32(1000)]);
    // A thread that did not hear it hears this.
    ctx.end_signal().raise();
    let all = threads.into_iter().map(|thread| thread.join().unwrap().0);
    let all: Vec<_> = all.collect();
    drop(peer);
    match all.iter().find(|returned| !is_interrupted(returned)) {
        Some(other) => Err(format!("{what}: {other:?}")),
        None if early > 0 || !in_time => {
            Err(format!("{what}: {early} of {n} early, in time: {in_time}"))
        }
        None if !is_interrupted(&later) => Err(format!("{what}: later, {later:?}")),
        None => Ok(()),
    }
}

#[test]
fn every_blocked_call_of_every_thread_ends() {
    soon(|| {
        for n in CROWDS {
            for (what, make) in kinds() {
                for _ in 0..rounds(1) {
                    all_end(what, make, n, bound(), false).unwrap();
                }
                // A signal that no wait hears.
                all_end(what, make, n, IMPATIENCE / 4, true).unwrap_err();
            }
        }
    });
}

fn later_calls_end(n: usize, end: &EndSignal, ctx: &P1Ctx) -> Check {
    end.raise();
    let first = Guest::shared(ctx);
    let threads: Vec<_> = (0..n)
        .map(|_| {
            let mut guest = first.thread();
            thread::spawn(move || {
                let calls: [(&str, &[i32]); 4] = [
                    ("fd_fdstat_get", &[0, OUT as i32]),
                    ("fd_close", &[1]),
                    ("fd_read", &[0, 0, 0, OUT as i32]),
                    ("sock_shutdown", &[0, 1]),
                ];
                let mut returned = calls.map(|(name, args)| {
                    let args: Vec<_> = args.iter().map(|n| I32(*n)).collect();
                    (name, guest.try_call(name, &args))
                });
                returned.sort_by_key(|(_, returned)| is_interrupted(returned));
                returned
            })
        })
        .collect();
    for thread in threads {
        let [(name, returned), ..] = thread.join().unwrap();
        if !is_interrupted(&returned) {
            return Err(format!("{name}: {returned:?}"));
        }
    }
    Ok(())
}

#[test]
fn later_calls_of_every_thread_end_at_once() {
    soon(|| {
        for n in CROWDS {
            for _ in 0..rounds(3) {
                let ctx = bare();
                later_calls_end(n, ctx.end_signal(), &ctx).unwrap();
            }
            // A signal that only waiting threads hear.
            later_calls_end(n, &EndSignal::new(), &bare()).unwrap_err();
        }
    });
}
