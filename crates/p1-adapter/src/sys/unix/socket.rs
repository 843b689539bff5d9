//! Sockets: accepting connections, ending a direction, and what a poll says of one that takes no
//! more.

pub(crate) use rustix::net::{Shutdown, SocketType};

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::os::fd::AsFd;

/// The receiving side is shut: by this side, or by the peer. Of what is no socket it is never said.
#[cfg(target_os = "linux")]
pub(crate) const RECEIVING_SHUT: PollFlags = PollFlags::RDHUP;

/// Nothing says so.
#[cfg(not(target_os = "linux"))]
pub(crate) const RECEIVING_SHUT: PollFlags = PollFlags::empty();

/// The next connection, close-on-exec.
#[cfg(target_os = "linux")]
pub(crate) fn accept(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    rustix::net::accept_with(fd, rustix::net::SocketFlags::CLOEXEC)
}

/// Not in one step everywhere: a process forked in between inherits the connection.
#[cfg(not(target_os = "linux"))]
pub(crate) fn accept(fd: &OwnedFd) -> Result<OwnedFd, Errno> {
    let connection = rustix::net::accept(fd)?;
    rustix::io::fcntl_setfd(&connection, rustix::io::FdFlags::CLOEXEC)?;
    Ok(connection)
}

/// Has no call on a socket wait that this process alone has: each is told so anyway.
pub(crate) fn own(_: impl AsFd) -> Result<(), Errno> {
    Ok(())
}

/// What kind of socket `fd` is.
pub(crate) fn kind(fd: impl AsFd) -> Result<SocketType, Errno> {
    rustix::net::sockopt::socket_type(fd)
}

/// Ends one direction, or both, for every process that has the socket.
pub(crate) fn shutdown(fd: impl AsFd, how: Shutdown) -> Result<(), Errno> {
    rustix::net::shutdown(fd, how)
}
