//! Accepting connections.

use crate::ends::ends;
use crate::support::{Check, SETTLE, soon};
use p1_adapter::blocking::{BlockingError, EndSignal, Listener};
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fcntl_getfl};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Threads blocked in accept end, all of them, also those that lost the race for a connection.
#[test]
fn a_blocked_accept_ends() {
    fn check(make: fn(OwnedFd) -> Listener) -> Check {
        let (socket, address) = listener();
        let ours = Arc::new(make(socket.into()));
        ends(
            "accept",
            8,
            move |end| {
                loop {
                    ours.accept(false, end)?;
                }
            },
            || (),
        )?;
        let (socket, _keep) = (TcpListener::bind("127.0.0.1:0").unwrap(), address);
        let address = socket.local_addr().unwrap();
        let ours = Arc::new(make(socket.into()));
        let clients = thread::spawn(move || {
            (0..20)
                .map(|_| TcpStream::connect(address).unwrap())
                .collect::<Vec<_>>()
        });
        let outcome = ends(
            "accept, with connections coming in",
            8,
            move |end| {
                loop {
                    ours.accept(false, end)?;
                }
            },
            || (),
        );
        drop(clients.join().unwrap());
        outcome
    }
    soon(|| check(|fd| Listener::owned(fd).unwrap())).unwrap();
    soon(|| check(Listener::inherited)).unwrap();
}

/// The check above fails for a plain blocking accept.
#[test]
fn a_plain_accept_does_not_end() {
    soon(|| {
        let (socket, address) = listener();
        ends(
            "plain accept",
            1,
            move |_| {
                socket.accept().unwrap();
                Ok(0)
            },
            move || drop(TcpStream::connect(address)),
        )
    })
    .unwrap_err();
}

#[test]
fn an_inherited_listener_keeps_its_flags() {
    let (socket, _) = listener();
    let theirs = socket.try_clone().unwrap();
    let before = fcntl_getfl(&theirs).unwrap();
    let inherited = Listener::inherited(socket.into());
    let end = EndSignal::new().unwrap();
    match inherited.accept(true, &end) {
        Err(BlockingError::Io(e)) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock),
        other => panic!("{other:?}"),
    }
    assert_eq!(fcntl_getfl(&theirs).unwrap(), before);
    // The check can tell: an owned one does change them.
    let _owned = Listener::owned(theirs.try_clone().unwrap().into()).unwrap();
    assert!(fcntl_getfl(&theirs).unwrap().contains(OFlags::NONBLOCK));
}

#[test]
fn every_connection_goes_to_one_thread() {
    soon(|| {
        let (socket, address) = listener();
        let ours = Arc::new(Listener::owned(socket.into()).unwrap());
        let end = EndSignal::new().unwrap();
        let acceptors: Vec<_> = (0..4)
            .map(|_| {
                let (ours, end) = (ours.clone(), end.clone());
                thread::spawn(move || {
                    let mut peers = Vec::new();
                    while let Ok(connection) = ours.accept(false, &end) {
                        let stream = TcpStream::from(connection);
                        peers.push(stream.peer_addr().unwrap().port());
                    }
                    peers
                })
            })
            .collect();
        let mut clients = Vec::new();
        let mut expected: Vec<_> = (0..200)
            .map(|_| {
                let client = TcpStream::connect(address).unwrap();
                let port = client.local_addr().unwrap().port();
                clients.push(client);
                port
            })
            .collect();
        thread::sleep(SETTLE * 5);
        end.raise();
        let mut seen: Vec<_> = acceptors
            .into_iter()
            .flat_map(|a| a.join().unwrap())
            .collect();
        seen.sort_unstable();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    });
}
