//! What the tests ask of the system, and what differs between systems.
//!
//! `unix` and `windows` have the same operations. A test about something that only one system has
//! is left out on the others, with the reason beside it. Each suite takes this folder in by its
//! path and uses a part of it.
#![allow(dead_code, unused_imports)]

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use p1_adapter::fd::OwnedFd;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub(crate) use windows::*;

/// Read end, write end.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = std::io::pipe().unwrap();
    (reader.into(), writer.into())
}

/// Two ends of a stream socket.
pub(crate) fn sockets() -> (OwnedFd, OwnedFd) {
    let (a, b) = connected();
    (a.into(), b.into())
}

/// Two ends of a TCP connection over loopback.
pub(crate) fn tcp() -> (OwnedFd, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let a = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (b, _) = listener.accept().unwrap();
    (a.into(), b.into())
}
