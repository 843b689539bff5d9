//! How soon a blocked call ends after the signal: 10 ms, by the clock, for every kind of wait a guest can be in.
//!
//! The median of many rounds is what is asserted. A loaded machine delays one thread or another by a time slice, which says
//! nothing about this crate; half of them it does not.

use crate::guest::Guest;
use crate::support::abi::{DATA, OUT};
use crate::support::{fifo, rounds, sockets, soon};
use p1_adapter::{Interrupted, P1Ctx, P1CtxBuilder, StreamAccess};
use std::any::Any;
use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};
use wasmtime::Val::{self, I32, I64};
use wasmtime_wasi::FsPerms;
use wasmtime_wasi::cli::AsyncStdinStream;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

const AIM: Duration = Duration::from_millis(10);

/// A context, what keeps a call on it waiting, and the call.
type Blocked = (
    P1Ctx,
    Box<dyn Any>,
    fn(&mut Guest) -> (&'static str, Vec<Val>),
);

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
        ("send", || {
            let (ctx, (ours, theirs)) = (bare(), sockets());
            rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
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
        ("open of a FIFO", || {
            let (dir, _) = fifo();
            let ctx = P1CtxBuilder::new()
                .preopened_dir(dir.path(), "/", FsPerms::ReadWrite)
                .unwrap()
                .build()
                .unwrap();
            (ctx, Box::new(dir), |guest| {
                let mut args = guest.open_args("fifo", 0, 2).to_vec();
                args[5] = I64(2);
                ("path_open", args)
            })
        }),
    ]
}

/// From just before the signal is raised until the guest's call has returned.
fn latency(make: fn() -> Blocked) -> Duration {
    let (ctx, _peer, call) = make();
    let mut guest = Guest::shared(&ctx);
    let (ready, is_ready) = mpsc::channel();
    let thread = thread::spawn(move || {
        let (name, args) = call(&mut guest);
        ready.send(()).unwrap();
        let returned = guest.try_call(name, &args);
        (returned, Instant::now())
    });
    is_ready.recv().unwrap();
    thread::sleep(Duration::from_millis(5));
    let raised = Instant::now();
    ctx.end_signal().raise();
    let (returned, at) = thread.join().unwrap();
    let error = returned.unwrap_err();
    assert!(error.downcast_ref::<Interrupted>().is_some(), "{error:?}");
    at.saturating_duration_since(raised)
}

#[test]
fn every_blocked_call_ends_within_ten_milliseconds() {
    soon(|| {
        for (what, make) in kinds() {
            let mut all: Vec<_> = (0..rounds(41)).map(|_| latency(make)).collect();
            all.sort_unstable();
            let (median, worst) = (all[all.len() / 2], all[all.len() - 1]);
            eprintln!("{what}: median {median:?}, worst {worst:?}");
            assert!(median <= AIM, "{what}: {median:?}");
        }
    });
}
