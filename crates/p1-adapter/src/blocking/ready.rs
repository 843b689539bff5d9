//! Waiting for a descriptor in a future.

use super::wait::{Direction, Interest, Readiness, is_ready};
use rustix::io::Errno;
use rustix::io::fcntl_dupfd_cloexec;
use std::io;
use std::os::fd::AsFd;
use tokio::io::Interest as Watch;
use tokio::io::unix::AsyncFd;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Completes when the descriptor of `interest` is ready: what [`wait`](super::wait) is for threads, for one
/// descriptor. To end it with a signal, run it in [`EndSignal::or_raised`](super::EndSignal::or_raised).
///
/// Any number of tasks may wait on one descriptor. Each registers a duplicate of it with the tokio
/// runtime it is polled in (wasmtime-wasi's, where there is none), for the length of the wait. Dropping
/// the future gives up the wait and nothing else.
///
/// # Errors
///
/// What `poll`, `fcntl` or the registration report, such as `EMFILE`.
///
/// # Panics
///
/// If polled inside a tokio runtime whose I/O driver is not enabled, as everything of tokio's that does I/O.
pub async fn ready(interest: Interest<'_>) -> io::Result<Readiness> {
    let (fd, direction) = interest.parts();
    loop {
        let found = is_ready(fd, direction)?;
        if found.ready {
            return Ok(found);
        }
        let ours = fcntl_dupfd_cloexec(fd.as_fd(), 3)?;
        let watch = match direction {
            Direction::Read => Watch::READABLE,
            Direction::Write => Watch::WRITABLE,
        };
        // Registered before it is looked at once more, which epoll does by itself: what became ready in
        // between is reported at once.
        // Deprecated because other types could close or swap their descriptor while it is registered; an `OwnedFd`
        // that `AsyncFd` owns cannot, so this call is sound, and its replacement would be an unsafe one.
        #[allow(deprecated)]
        let watched = with_ambient_tokio_runtime(|| AsyncFd::with_interest(ours, watch));
        match watched {
            Ok(watched) => drop(watched.ready(watch).await?),
            // epoll refuses what is always ready.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => {
                return Ok(Readiness {
                    ready: true,
                    hangup: false,
                });
            }
            Err(error) => return Err(error),
        }
    }
}
