//! Accepting connections.

use crate::ends::ends;
use crate::support::{CROWDS, Check, IMPATIENCE, bound, eventually, rounds, soon};
use p1_adapter::fd::OwnedFd;
use p1_adapter::test_hooks::{BlockingError, EndSignal, Listener};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

type Accept = fn(&Listener, &EndSignal) -> Result<OwnedFd, BlockingError>;

fn accept(from: &Listener, end: &EndSignal) -> Result<OwnedFd, BlockingError> {
    from.accept(false, end)
}

/// All threads blocked in accept end, also those that lost the race for one of `connections`.
fn accepts_end(
    make: fn(OwnedFd) -> Listener,
    accept: Accept,
    connections: usize,
    (threads, limit): (usize, Duration),
) -> Check {
    let (socket, address) = listener();
    let connect = move || TcpStream::connect(address).unwrap();
    let accepting = Arc::new(make(socket.into()));
    let keep = accepting.clone();
    let clients = thread::spawn(move || (0..connections).map(|_| connect()).collect::<Vec<_>>());
    let outcome = ends(
        "accept",
        threads,
        limit,
        move |end| {
            loop {
                accept(&accepting, end)?;
            }
        },
        || {
            // For those that did not hear it.
            for _ in 0..threads {
                let _ = TcpStream::connect(address);
            }
        },
    );
    drop((clients.join().unwrap(), keep));
    outcome
}

#[test]
fn a_blocked_accept_ends() {
    fn owned(fd: OwnedFd) -> Listener {
        Listener::owned(fd).unwrap()
    }
    // Looks at the signal before it accepts, and not while.
    fn deaf(from: &Listener, end: &EndSignal) -> Result<OwnedFd, BlockingError> {
        end.check()?;
        from.accept(false, &EndSignal::new())
    }
    soon(|| {
        for n in CROWDS {
            // Connections that come and go leave their ports behind for a minute, so not every
            // round makes them.
            for connections in [0, 20] {
                for _ in 0..if connections == 0 { rounds(1) } else { 3 } {
                    accepts_end(owned, accept, connections, (n, bound())).unwrap();
                    accepts_end(Listener::inherited, accept, connections, (n, bound())).unwrap();
                }
            }
            accepts_end(owned, deaf, 0, (n, IMPATIENCE)).unwrap_err();
        }
    });
}

/// Windows does not say whether calls on a socket wait.
#[test]
#[cfg(unix)]
fn an_inherited_listener_keeps_its_flags() {
    use rustix::fs::{OFlags, fcntl_getfl};
    let (socket, _) = listener();
    let theirs = socket.try_clone().unwrap();
    let before = fcntl_getfl(&theirs).unwrap();
    let inherited = Listener::inherited(socket.into());
    let end = EndSignal::new();
    match inherited.accept(true, &end) {
        Err(BlockingError::Io(e)) => assert_eq!(e.kind(), std::io::ErrorKind::WouldBlock),
        other => panic!("{other:?}"),
    }
    assert_eq!(fcntl_getfl(&theirs).unwrap(), before);
    // The check can tell: an owned one does change them.
    let _owned = Listener::owned(theirs.try_clone().unwrap().into()).unwrap();
    assert!(fcntl_getfl(&theirs).unwrap().contains(OFlags::NONBLOCK));
}

/// Accepts on `n` threads until all of `count` connections have been.
fn each_goes_to_one(
    accept: impl Fn(&Listener, &EndSignal) -> Result<OwnedFd, BlockingError> + Send + Sync + 'static,
    n: usize,
    count: usize,
) -> Check {
    let (socket, address) = listener();
    let ours = Arc::new(Listener::owned(socket.into()).unwrap());
    let (end, accept) = (EndSignal::new(), Arc::new(accept));
    let accepted = Arc::new(AtomicUsize::new(0));
    let acceptors: Vec<_> = (0..n)
        .map(|_| {
            let (ours, end, accept) = (ours.clone(), end.clone(), accept.clone());
            let accepted = accepted.clone();
            thread::spawn(move || {
                let mut peers = Vec::new();
                while let Ok(connection) = accept(&ours, &end) {
                    let stream = TcpStream::from(connection);
                    peers.push(stream.peer_addr().unwrap().port());
                    accepted.fetch_add(1, Ordering::SeqCst);
                }
                peers
            })
        })
        .collect();
    let mut expected = Vec::new();
    for i in 0..count {
        let client = TcpStream::connect(address).unwrap();
        expected.push(client.local_addr().unwrap().port());
        // Two wait at the most.
        assert!(eventually(|| accepted.load(Ordering::SeqCst) + 1 >= i));
    }
    assert!(eventually(|| accepted.load(Ordering::SeqCst) >= count));
    end.raise();
    let mut seen: Vec<_> = acceptors
        .into_iter()
        .flat_map(|a| a.join().unwrap())
        .collect();
    seen.sort_unstable();
    expected.sort_unstable();
    match seen == expected {
        true => Ok(()),
        false => Err(format!("{seen:?}, not {expected:?}")),
    }
}

#[test]
fn every_connection_goes_to_one_thread() {
    soon(|| {
        for n in CROWDS {
            each_goes_to_one(accept, n, rounds(200) as usize).unwrap();
            // Gives the first out twice.
            let first = Mutex::new(None);
            let twice = move |from: &Listener, end: &EndSignal| {
                let mut first = first.lock().unwrap();
                match first.take() {
                    Some(connection) => Ok(connection),
                    None => {
                        let connection = accept(from, end)?;
                        *first = Some(connection.try_clone().unwrap());
                        Ok(connection)
                    }
                }
            };
            each_goes_to_one(twice, n, 4).unwrap_err();
        }
    });
}
