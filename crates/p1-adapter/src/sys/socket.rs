//! Accepting connections.

use rustix::fd::OwnedFd;
use rustix::io::Errno;

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
