//! Sockets whose receiving side is shut: what waits for more finds the end, and nothing spins.

use crate::guest::{AGAIN, Guest, INVAL, NONBLOCK, OK};
use crate::sockets::PEEK;
use crate::support::{blocked, eventually, rounds, sockets, soon, tcp};
use p1_adapter::fd::OwnedFd;
use p1_adapter::{P1Ctx, P1CtxBuilder, StreamAccess};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};
use wasmtime::Val::I32;

const SHUT_RD: i32 = 1;

/// Two sockets that are connected.
type Pair = fn() -> (OwnedFd, OwnedFd);

fn records() -> (OwnedFd, OwnedFd) {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).unwrap()
}

fn datagrams() -> (OwnedFd, OwnedFd) {
    let (a, b) = UnixDatagram::pair().unwrap();
    (a.into(), b.into())
}

fn udp() -> (OwnedFd, OwnedFd) {
    let [a, b] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    (a.into(), b.into())
}

/// Each kind, and what Linux answers if one has nothing, is shut and must not wait: the end, or
/// `again`.
const KINDS: [(&str, Pair, Result<usize, i32>); 5] = [
    ("stream", sockets, Ok(0)),
    ("TCP", tcp, Ok(0)),
    ("records", records, Ok(0)),
    ("datagrams", datagrams, Err(AGAIN)),
    ("UDP", udp, Err(AGAIN)),
];

fn ctx() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

/// A read in one way or another.
fn read(guest: &mut Guest, fd: i32, way: usize) -> Result<usize, i32> {
    match way {
        0 => guest.get(fd, 8).map(|bytes| bytes.len()),
        1 => guest.recv(fd, 8, 0).map(|(bytes, _)| bytes.len()),
        _ => guest.recv(fd, 8, PEEK).map(|(bytes, _)| bytes.len()),
    }
}

#[test]
fn a_read_that_waits_finds_the_end() {
    soon(|| {
        for (name, pair, _) in KINDS {
            for round in 0..3 * rounds(2) as usize {
                let ctx = ctx();
                let (ours, _theirs) = pair();
                let fd = ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap() as i32;
                let mut guest = Guest::shared(&ctx);
                let mut other = guest.thread();
                let reading = blocked(move || read(&mut other, fd, round % 3));
                assert!(!reading.is_finished(), "{name}: it waits");
                assert_eq!(guest.shutdown(fd, SHUT_RD), OK);
                assert!(eventually(|| reading.is_finished()), "{name}: it waits on");
                assert_eq!(reading.join().unwrap(), Ok(0), "{name}");
            }
        }
    });
}

#[test]
fn what_came_before_is_read_first() {
    soon(|| {
        for (name, pair, at_once) in KINDS {
            let ctx = ctx();
            let (ours, theirs) = pair();
            let host = ours.try_clone().unwrap();
            let fd = ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap() as i32;
            let mut guest = Guest::new(&ctx);
            rustix::net::send(&theirs, b"before", SendFlags::empty()).unwrap();
            assert_eq!(guest.recv(fd, 3, PEEK).unwrap().0, b"bef");
            assert_eq!(guest.shutdown(fd, SHUT_RD), OK);
            assert_eq!(read(&mut guest, fd, 2), Ok(6), "{name}");
            assert_eq!(read(&mut guest, fd, 0), Ok(6), "{name}");
            for way in 0..3 {
                assert_eq!(read(&mut guest, fd, way), Ok(0), "{name}");
            }
            // A program of the host's is told the same.
            let native = rustix::net::recv(&host, &mut [0; 8][..], RecvFlags::empty());
            assert_eq!(native.unwrap().0, 0, "{name}");
            let flags = [I32(fd), I32(NONBLOCK)];
            assert_eq!(guest.call("fd_fdstat_set_flags", &flags), OK);
            for way in 0..3 {
                assert_eq!(read(&mut guest, fd, way), at_once, "{name}");
            }
            let native = rustix::net::recv(&host, &mut [0; 8][..], RecvFlags::DONTWAIT);
            let native = native.map(|(count, _)| count).map_err(|_| AGAIN);
            assert_eq!(native, at_once, "{name}");
        }
    });
}

#[test]
fn an_accept_of_a_listener_that_is_shut_fails() {
    soon(|| {
        let dir = tempfile::tempdir().unwrap();
        for round in 0..4 * rounds(2) {
            let ctx = ctx();
            let name = dir.path().join(round.to_string());
            let listener: OwnedFd = match round % 2 {
                0 => UnixListener::bind(name).unwrap().into(),
                _ => TcpListener::bind("127.0.0.1:0").unwrap().into(),
            };
            let host = listener.try_clone().unwrap();
            let fd = match round % 4 / 2 {
                0 => ctx.push_listener(listener),
                _ => ctx.push_inherited_listener(listener),
            };
            let fd = fd.unwrap() as i32;
            let mut guest = Guest::shared(&ctx);
            let mut other = guest.thread();
            let accepting = blocked(move || other.accept(fd, 0));
            assert!(!accepting.is_finished(), "it waits");
            rustix::net::shutdown(&host, Shutdown::Read).unwrap();
            assert!(eventually(|| accepting.is_finished()), "it waits on");
            assert_eq!(accepting.join().unwrap(), Err(INVAL));
            assert_eq!(guest.accept(fd, 0), Err(INVAL), "and later");
        }
    });
}
