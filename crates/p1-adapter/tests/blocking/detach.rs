//! Closing or renumbering a descriptor while other threads are inside calls on it. The calls go on
//! with what they found and do not touch the next descriptor under that number. Other tests show
//! what such calls do not hold up.

use crate::calls::{Calls, Corner, LooksTwice, OneLock, Ours};
use crate::guest::{Guest, OK};
use crate::support::{CROWDS, Check, all_blocked_in, pipe, rounds, soon, within};
use crate::sys::{self, connect, connected, listen, set_nonblocking};
use p1_adapter::fd::{AsFd, BorrowedFd};
use p1_adapter::{P1Ctx, P1CtxBuilder, StreamAccess};
#[cfg(unix)]
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use wasmtime::Val::{self, I32};

/// The number of what a test is about.
const FD: i32 = 3;

/// What a record has.
const LEN: u32 = 4096;

fn ctx() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

/// How a number comes to mean something else.
#[derive(Clone, Copy, Debug)]
enum Change {
    Close,
    Renumber,
}

/// Takes number `FD` from its descriptor: closes it, or puts the descriptor of `other` there.
fn detach(guest: &mut Guest, change: Change, other: impl FnOnce() -> u32) {
    match change {
        Change::Renumber => {
            let other = other() as i32;
            assert_eq!(guest.call("fd_renumber", &[I32(other), I32(FD)]), OK);
        }
        Change::Close => {
            assert_eq!(guest.close(FD), OK);
            assert_eq!(other() as i32, FD, "the lowest free number");
        }
    }
}

/// What has arrived, without waiting for more.
fn arrived(from: &mut (impl Read + AsFd)) -> Vec<u8> {
    set_nonblocking(&*from, true);
    let mut all = Vec::new();
    match from.read_to_end(&mut all) {
        Ok(_) => all,
        Err(error) if error.kind() == ErrorKind::WouldBlock => all,
        // It was not accepted, and will not be.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => all,
        Err(error) => panic!("{error}"),
    }
}

/// Writes until there is no room; how many bytes that took.
fn fill(to: impl AsFd) -> usize {
    set_nonblocking(&to, true);
    let mut count = 0;
    while let Ok(more) = sys::write(&to, &[b'f'; 512]) {
        count += more;
    }
    set_nonblocking(&to, false);
    count
}

/// The check, for every crowd and change: of `Ours`, and of calls that look their number up twice.
fn calls_go_on(check: fn(&dyn Calls, usize, Change) -> Check) {
    soon(move || {
        for n in CROWDS {
            for change in [Change::Close, Change::Renumber] {
                for _ in 0..rounds(3) {
                    check(&Ours, n, change).unwrap();
                }
                check(&LooksTwice, n, change).unwrap_err();
            }
        }
    });
}

/// One thread writes and others wait until they could, on what is full; then `reader` gets all of
/// it.
fn a_write_goes_on(
    (calls, n, change): (&dyn Calls, usize, Change),
    name: &str,
    (writer, mut reader): (impl AsFd, impl Read),
    (stranger, mut strangers_reader): (impl AsFd, impl Read + AsFd),
) -> Check {
    let ctx = ctx();
    let push = |fd: BorrowedFd<'_>| {
        let fd = fd.try_clone_to_owned().unwrap();
        ctx.push_stream(fd, StreamAccess::Write).unwrap()
    };
    push(writer.as_fd());
    let filled = fill(&writer);
    drop(writer);
    let mut guest = Guest::shared(&ctx);
    thread::scope(|scope| {
        let threads = (1..n).map(|i| {
            let mut guest = guest.thread();
            move || {
                let at = Corner::of(i);
                let more: &[u32] = match name {
                    "sock_send" => &[0, at.out()],
                    _ => &[at.out()],
                };
                if i == 1 {
                    let args = at.args(&mut guest, FD, LEN, more);
                    let errno = calls.call(&mut guest, at, name, &args);
                    (errno, guest.u32(at.out()))
                } else {
                    let args = at.poll(&mut guest, FD, true, true);
                    (guest.call("poll_oneoff", &args), LEN)
                }
            }
        });
        let threads = all_blocked_in(scope, threads);
        detach(&mut guest, change, || push(stranger.as_fd()));
        drop(stranger);
        // To the end, which comes when the last call on it ends.
        let mut count = 0;
        let mut buffer = [0; 1 << 16];
        loop {
            match reader.read(&mut buffer).unwrap() {
                0 => break,
                more => count += more,
            }
        }
        for thread in threads {
            let answer = thread.join().unwrap();
            if answer != (OK, LEN) {
                return Err(format!("{change:?}: {name} answers {answer:?}"));
            }
        }
        let strangers = arrived(&mut strangers_reader).len();
        if (count, strangers) != (filled + LEN as usize, 0) {
            return Err(format!(
                "{change:?}: {count} bytes of {filled} and {LEN} came, a stranger got {strangers}"
            ));
        }
        Ok(())
    })
}

/// Windows does not say when a pipe has room, so a look that comes first is no fault there.
#[test]
#[cfg(unix)]
fn a_write_goes_on_when_its_number_is_taken_away() {
    calls_go_on(|calls, n, change| {
        let ((read, write), (other_read, other_write)) = (pipe(), pipe());
        let (reader, strangers) = (File::from(read), File::from(other_read));
        let what = (calls, n, change);
        a_write_goes_on(what, "fd_write", (write, reader), (other_write, strangers))
    });
}

#[test]
fn a_send_goes_on_when_its_number_is_taken_away() {
    calls_go_on(|calls, n, change| {
        let (ours, stranger) = (connected(), connected());
        a_write_goes_on((calls, n, change), "sock_send", ours, stranger)
    });
}

#[test]
fn a_receive_goes_on_when_its_number_is_taken_away() {
    calls_go_on(|calls, n, change| {
        let ctx = ctx();
        let ((ours, mut theirs), (stranger, mut strangers_peer)) = (connected(), connected());
        ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
        strangers_peer.write_all(&vec![b's'; n]).unwrap();
        let mut guest = Guest::shared(&ctx);
        thread::scope(|scope| {
            let receivers = (1..n).map(|i| {
                let mut guest = guest.thread();
                move || {
                    let at = Corner::of(i);
                    let args = at.args(&mut guest, FD, 1, &[0, at.out(), at.out() + 4]);
                    let errno = calls.call(&mut guest, at, "sock_recv", &args);
                    (errno, guest.u32(at.out()), guest.read(at.data(), 1))
                }
            });
            let receivers = all_blocked_in(scope, receivers);
            detach(&mut guest, change, || {
                ctx.push_stream(stranger, StreamAccess::ReadWrite).unwrap()
            });
            theirs.write_all(&vec![b'p'; n - 1]).unwrap();
            for receiver in receivers {
                let got = receiver.join().unwrap();
                if got != (OK, 1, b"p".to_vec()) {
                    return Err(format!("{change:?}: {got:?}"));
                }
            }
            Ok(())
        })
    });
}

#[test]
fn an_accept_goes_on_when_its_number_is_taken_away() {
    calls_go_on(|calls, n, change| {
        let dir = tempfile::tempdir().unwrap();
        let (listener, ours) = listen(dir.path(), "ours");
        let (stranger, others) = listen(dir.path(), "stranger");
        let all_connect = |to| -> std::io::Result<Vec<_>> { (1..n).map(|_| connect(to)).collect() };
        let ctx = ctx();
        ctx.push_listener(listener).unwrap();
        let mut guest = Guest::shared(&ctx);
        thread::scope(|scope| {
            let acceptors = (1..n).map(|i| {
                let mut guest = guest.thread();
                move || {
                    let at = Corner::of(i);
                    let args = [FD, 0, at.out() as i32].map(I32);
                    assert_eq!(calls.call(&mut guest, at, "sock_accept", &args), OK);
                    let connection = guest.u32(at.out()) as i32;
                    guest.write(at.data(), b"y");
                    let args = at.args(&mut guest, connection, 1, &[at.out()]);
                    assert_eq!(guest.call("fd_write", &args), OK);
                }
            });
            let acceptors = all_blocked_in(scope, acceptors);
            detach(&mut guest, change, || ctx.push_listener(stranger).unwrap());
            let _strangers = all_connect(&others).unwrap();
            // Refused, once the listener is held no more.
            let clients = all_connect(&ours);
            for acceptor in acceptors {
                acceptor.join().unwrap();
            }
            for mut client in clients.map_err(|error| error.to_string())? {
                let got = arrived(&mut client);
                if got != b"y" {
                    return Err(format!("{change:?}: a client got {got:?}"));
                }
            }
            Ok(())
        })
    });
}

/// Nothing comes from the other descriptor, so a thread that waits for it waits on.
#[test]
fn a_poll_goes_on_when_its_number_is_taken_away() {
    calls_go_on(|calls, n, change| {
        let ctx = ctx();
        let ((read, write), (other_read, other_write)) = (pipe(), pipe());
        ctx.push_stream(read, StreamAccess::Read).unwrap();
        let mut guest = Guest::shared(&ctx);
        let returned = AtomicUsize::new(0);
        let returned = &returned;
        thread::scope(|scope| {
            let pollers = (1..n).map(|i| {
                let mut guest = guest.thread();
                move || {
                    let at = Corner::of(i);
                    let args = at.poll(&mut guest, FD, false, true);
                    let errno = calls.call(&mut guest, at, "poll_oneoff", &args);
                    returned.fetch_add(1, Ordering::SeqCst);
                    (errno, guest.u32(at.out()))
                }
            });
            let pollers = all_blocked_in(scope, pollers);
            detach(&mut guest, change, || {
                ctx.push_stream(other_read, StreamAccess::Read).unwrap()
            });
            let early = returned.load(Ordering::SeqCst);
            sys::write(&write, b"p").unwrap();
            // A call that looks twice is waited for only as long as it takes to see that.
            let all = || returned.load(Ordering::SeqCst) == n - 1;
            let in_time = within(calls.patience(), all);
            sys::write(&other_write, b"s").unwrap();
            for poller in pollers {
                assert_eq!(poller.join().unwrap(), (OK, 1));
            }
            match (early, in_time) {
                (0, true) => Ok(()),
                _ => Err(format!("{change:?}: {early} early, all in time: {in_time}")),
            }
        })
    });
}

/// A call that waits, on number [`FD`].
#[derive(Clone, Copy, Debug)]
enum Stuck {
    Read,
    Write,
    Receive,
    Send,
    Accept,
    Poll,
}

impl Stuck {
    const ALL: [Self; 6] = [
        Self::Read,
        Self::Write,
        Self::Receive,
        Self::Send,
        Self::Accept,
        Self::Poll,
    ];

    /// Makes what it waits on; what is given back ends the wait.
    fn push(self, ctx: &P1Ctx) -> Box<dyn FnOnce()> {
        match self {
            Self::Read | Self::Poll => {
                let (read, write) = pipe();
                ctx.push_stream(read, StreamAccess::Read).unwrap();
                Box::new(move || drop(write))
            }
            Self::Write => {
                let (read, write) = pipe();
                fill(&write);
                ctx.push_stream(write, StreamAccess::Write).unwrap();
                Box::new(move || drop(read))
            }
            Self::Receive | Self::Send => {
                let (ours, theirs) = connected();
                fill(&ours);
                ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
                Box::new(move || drop(theirs))
            }
            Self::Accept => {
                let dir = tempfile::tempdir().unwrap();
                let (listener, address) = listen(dir.path(), "socket");
                ctx.push_listener(listener).unwrap();
                Box::new(move || drop((connect(&address).unwrap(), dir)))
            }
        }
    }

    fn args(self, guest: &mut Guest, at: Corner) -> (&'static str, Vec<Val>) {
        let out = at.out();
        match self {
            Self::Read => ("fd_read", at.args(guest, FD, 1, &[out])),
            Self::Write => ("fd_write", at.args(guest, FD, LEN, &[out])),
            Self::Receive => ("sock_recv", at.args(guest, FD, 1, &[0, out, out + 4])),
            Self::Send => ("sock_send", at.args(guest, FD, LEN, &[0, out])),
            Self::Accept => ("sock_accept", [FD, 0, out as i32].map(I32).to_vec()),
            Self::Poll => ("poll_oneoff", at.poll(guest, FD, false, true)),
        }
    }
}

/// One thread is stuck; the others must be done with everything else, on the same descriptor and on
/// another.
fn others_go_on(calls: &dyn Calls, n: usize, stuck: Stuck) -> Check {
    let ctx = ctx();
    let release = stuck.push(&ctx);
    let (other, to_other) = pipe();
    let other = ctx.push_stream(other, StreamAccess::Read).unwrap() as i32;
    sys::write(&to_other, &vec![b'o'; n]).unwrap();
    let guest = Guest::shared(&ctx);
    let done = AtomicUsize::new(0);
    let done = &done;
    thread::scope(|scope| {
        let waiting = {
            let mut guest = guest.thread();
            let call = move || {
                let at = Corner::of(0);
                let (name, args) = stuck.args(&mut guest, at);
                calls.call(&mut guest, at, name, &args)
            };
            all_blocked_in(scope, [call]).pop().unwrap()
        };
        let early = waiting.is_finished();
        let mut threads = Vec::new();
        for i in 1..n {
            let mut guest = guest.thread();
            threads.push(scope.spawn(move || {
                let at = Corner::of(i);
                let out = I32(at.data() as i32);
                for (name, args) in [
                    ("fd_fdstat_get", vec![I32(FD), out]),
                    ("fd_filestat_get", vec![I32(FD), out]),
                    ("fd_fdstat_set_flags", vec![I32(FD), I32(0)]),
                    ("poll_oneoff", at.poll(&mut guest, FD, false, false)),
                    ("poll_oneoff", at.poll(&mut guest, FD, true, false)),
                    ("fd_read", at.args(&mut guest, other, 1, &[at.out()])),
                ] {
                    let errno = calls.call(&mut guest, at, name, &args);
                    assert_eq!(errno, OK, "{stuck:?}: {name}");
                }
                done.fetch_add(1, Ordering::SeqCst);
            }));
        }
        let all = within(calls.patience(), || done.load(Ordering::SeqCst) == n - 1);
        // Last, the number goes.
        if all {
            let mut guest = guest.thread();
            threads.push(scope.spawn(move || {
                let errno = calls.call(&mut guest, Corner::of(n), "fd_close", &[I32(FD)]);
                assert_eq!(errno, OK);
                done.fetch_add(1, Ordering::SeqCst);
            }));
        }
        let closed = all && within(calls.patience(), || done.load(Ordering::SeqCst) == n);
        let late = waiting.is_finished();
        release();
        waiting.join().unwrap();
        for thread in threads {
            thread.join().unwrap();
        }
        match (early || late, all, closed) {
            (false, true, true) => Ok(()),
            (true, ..) => Err(format!("{stuck:?}: it was not stuck")),
            (_, all, closed) => Err(format!("{stuck:?}: done: {all}, closed: {closed}")),
        }
    })
}

#[test]
fn a_stuck_call_delays_nobody() {
    soon(|| {
        for n in CROWDS {
            for stuck in Stuck::ALL {
                for _ in 0..rounds(3) {
                    others_go_on(&Ours, n, stuck).unwrap();
                }
                others_go_on(&OneLock::default(), n, stuck).unwrap_err();
            }
        }
    });
}
