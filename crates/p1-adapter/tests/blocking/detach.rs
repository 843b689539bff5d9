//! Closing or renumbering a descriptor while another thread is inside a call on it: the call goes on with what it found, and
//! whoever gets the number next is not touched by it. And what such a call does not hold up.

use crate::guest::Guest;
use crate::support::abi::{DATA, OK, OUT};
use crate::support::{PATIENCE, SETTLE, eventually, pipe, rounds, soon};
use p1_adapter::{P1Ctx, P1CtxBuilder, StreamAccess};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use wasmtime::Val::I32;

/// More than a pipe or a socket holds.
const LEN: u32 = 0x30000;

/// The number of what a test is about.
const FD: i32 = 3;

fn ctx() -> P1Ctx {
    P1CtxBuilder::new().build().unwrap()
}

/// Takes number `FD` away from what has it: closes it, or puts `other` in its place.
fn detach(guest: &mut Guest, by_renumber: bool, other: impl FnOnce() -> u32) {
    if by_renumber {
        let other = other() as i32;
        assert_eq!(guest.call("fd_renumber", &[I32(other), I32(FD)]), OK);
    } else {
        assert_eq!(guest.close(FD), OK);
        assert_eq!(other() as i32, FD, "the lowest free number");
    }
}

/// What must not have to wait for a call on the same descriptor.
fn goes_on(guest: &mut Guest) {
    let start = Instant::now();
    assert_eq!(guest.ask("fd_fdstat_get", FD), OK);
    let flags = [I32(FD), I32(0)];
    assert_eq!(guest.call("fd_fdstat_set_flags", &flags), OK);
    let mut subscriptions = [0; 96];
    subscriptions[16] = 1;
    subscriptions[48 + 8] = 1;
    subscriptions[48 + 16] = FD as u8;
    guest.write(DATA, &subscriptions);
    let poll = [DATA as i32, DATA as i32 + 128, 2, OUT as i32].map(I32);
    assert_eq!(guest.call("poll_oneoff", &poll), OK);
    assert!(start.elapsed() < PATIENCE);
}

fn call(mut guest: Guest, name: &'static str, more: &'static [i32]) -> JoinHandle<(i32, Guest)> {
    thread::spawn(move || {
        let [list, count] = guest.iovs(&[(DATA, LEN)]);
        let mut args = vec![I32(FD), list, count];
        args.extend(more.iter().map(|n| I32(*n)));
        (guest.call(name, &args), guest)
    })
}

/// Nothing has been written to the other end of what got the number.
fn untouched(stranger: &mut (impl Read + std::os::fd::AsFd)) {
    rustix::io::ioctl_fionbio(&*stranger, true).unwrap();
    let mut byte = [0];
    match stranger.read(&mut byte) {
        Ok(0) => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        other => panic!("a stranger got something: {other:?}"),
    }
}

fn both_ways(test: fn(bool)) {
    soon(move || {
        for _ in 0..rounds(3) {
            test(false);
            test(true);
        }
    });
}

#[test]
fn a_write_goes_on_when_its_number_is_taken_away() {
    both_ways(|by_renumber| {
        let ctx = ctx();
        let (read, write) = pipe();
        ctx.push_stream(write, StreamAccess::Write).unwrap();
        let mut guest = Guest::shared(&ctx);
        let writing = call(guest.thread(), "fd_write", &[OUT as i32]);
        thread::sleep(SETTLE);
        assert!(!writing.is_finished());
        let (other_read, other_write) = pipe();
        detach(&mut guest, by_renumber, || {
            ctx.push_stream(other_write, StreamAccess::Write).unwrap()
        });
        let mut all = vec![0; LEN as usize];
        File::from(read).read_exact(&mut all).unwrap();
        let (errno, guest) = writing.join().unwrap();
        assert_eq!((errno, guest.u32(OUT)), (OK, LEN));
        untouched(&mut File::from(other_read));
    });
}

#[test]
fn a_send_goes_on_when_its_number_is_taken_away() {
    both_ways(|by_renumber| {
        let ctx = ctx();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        rustix::net::sockopt::set_socket_send_buffer_size(&ours, 4096).unwrap();
        ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
        let mut guest = Guest::shared(&ctx);
        let sending = call(guest.thread(), "sock_send", &[0, OUT as i32]);
        thread::sleep(SETTLE);
        assert!(!sending.is_finished());
        // Reading the same socket does not wait for the writer.
        theirs.write_all(b"x").unwrap();
        let start = Instant::now();
        goes_on(&mut guest.thread());
        assert!(start.elapsed() < PATIENCE);
        let (stranger, mut strangers_peer) = UnixStream::pair().unwrap();
        detach(&mut guest, by_renumber, || {
            ctx.push_stream(stranger, StreamAccess::ReadWrite).unwrap()
        });
        let mut all = vec![0; LEN as usize];
        theirs.read_exact(&mut all).unwrap();
        let (errno, guest) = sending.join().unwrap();
        assert_eq!((errno, guest.u32(OUT)), (OK, LEN));
        untouched(&mut strangers_peer);
    });
}

#[test]
fn a_receive_goes_on_when_its_number_is_taken_away() {
    both_ways(|by_renumber| {
        let ctx = ctx();
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ctx.push_stream(ours, StreamAccess::ReadWrite).unwrap();
        let mut guest = Guest::shared(&ctx);
        let receiving = call(
            guest.thread(),
            "sock_recv",
            &[0, OUT as i32, OUT as i32 + 4],
        );
        thread::sleep(SETTLE);
        assert!(!receiving.is_finished());
        goes_on(&mut guest.thread());
        let (stranger, mut strangers_peer) = UnixStream::pair().unwrap();
        strangers_peer.write_all(b"not yours").unwrap();
        detach(&mut guest, by_renumber, || {
            ctx.push_stream(stranger, StreamAccess::ReadWrite).unwrap()
        });
        thread::sleep(SETTLE);
        assert!(!receiving.is_finished(), "it has read a stranger's bytes");
        theirs.write_all(b"here").unwrap();
        let (errno, guest) = receiving.join().unwrap();
        assert_eq!((errno, guest.u32(OUT)), (OK, 4));
        assert_eq!(guest.read(DATA, 4), b"here");
    });
}

#[test]
fn an_accept_goes_on_when_its_number_is_taken_away() {
    both_ways(|by_renumber| {
        let ctx = ctx();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        ctx.push_listener(listener).unwrap();
        let mut guest = Guest::shared(&ctx);
        let mut other = guest.thread();
        let accepting = thread::spawn(move || {
            let args = [FD, 0, OUT as i32].map(I32);
            (other.call("sock_accept", &args), other)
        });
        thread::sleep(SETTLE);
        assert!(!accepting.is_finished());
        goes_on(&mut guest.thread());
        let strangers = TcpListener::bind("127.0.0.1:0").unwrap();
        let strangers_address = strangers.local_addr().unwrap();
        detach(&mut guest, by_renumber, || {
            ctx.push_listener(strangers).unwrap()
        });
        let _stranger = TcpStream::connect(strangers_address).unwrap();
        thread::sleep(SETTLE);
        assert!(!accepting.is_finished(), "it has accepted a stranger");
        let mut client = TcpStream::connect(address).unwrap();
        assert!(eventually(|| accepting.is_finished()));
        let (errno, mut guest) = accepting.join().unwrap();
        assert_eq!(errno, OK);
        let connection = guest.u32(OUT) as i32;
        assert_eq!(guest.put(connection, b"yours"), Ok(5));
        let mut got = [0; 5];
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"yours");
    });
}
