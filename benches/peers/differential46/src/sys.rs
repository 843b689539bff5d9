//! A system call that no crate here has a safe function for: the only unsafe code.
#![allow(unsafe_code)]

use std::net::TcpStream;
use std::os::fd::AsRawFd as _;

/// How many bytes sent on a connection its other end has not acknowledged; none where the system
/// does not say.
pub fn unsent(stream: &TcpStream) -> Option<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: `TIOCOUTQ` writes one `int`, which `count` is, and the descriptor is open.
    let answer = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    (answer == 0).then(|| usize::try_from(count).ok()).flatten()
}
