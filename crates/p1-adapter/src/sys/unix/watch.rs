//! Waiting for a descriptor in a future.

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::io;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Waits until `ours` is ready for `what`, or says (`false`) that it cannot be waited for because
/// it always is.
///
/// # Errors
///
/// What the registration with tokio's runtime reports.
pub(crate) async fn watched(ours: OwnedFd, what: PollFlags) -> io::Result<bool> {
    let watch = match what.contains(PollFlags::OUT) {
        true => Interest::WRITABLE,
        false => Interest::READABLE,
    };
    // Registered before it is looked at once more, which epoll does by itself: what became ready in
    // between is reported at once. The call is deprecated because other types could close or swap
    // their descriptor while it is registered. An `OwnedFd` that `AsyncFd` owns cannot, so this
    // call is sound. Its replacement would be unsafe.
    #[allow(deprecated)]
    let watched = with_ambient_tokio_runtime(|| AsyncFd::with_interest(ours, watch));
    match watched {
        Ok(watched) => {
            drop(watched.ready(watch).await?);
            Ok(true)
        }
        // epoll refuses what is always ready.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => Ok(false),
        Err(error) => Err(error),
    }
}
