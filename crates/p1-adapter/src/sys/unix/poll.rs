//! Waiting until one of several descriptors is ready.

pub(crate) use rustix::event::{PollFd, PollFlags};

use super::time::Timespec;
use rustix::io::Errno;

/// How many of `fds` are ready, each with what was found in it: waits for the first, for `limit` at
/// most, or for ever. 0 when the time has passed.
///
/// # Errors
///
/// `EINTR` when a signal's handler has run on this thread: the wait is over.
#[inline]
pub(crate) fn poll(fds: &mut [PollFd<'_>], limit: Option<&Timespec>) -> Result<usize, Errno> {
    rustix::event::poll(fds, limit)
}

/// How much a pipe that polls writable takes without waiting. What is no longer than its `PIPE_BUF`
/// is written in one piece, between whatever other processes write; a pipe of Linux that polls
/// writable has room for that.
pub(crate) const PIPE_HAS_ROOM: usize = if cfg!(target_os = "linux") {
    4096
} else {
    // POSIX's smallest.
    512
};
