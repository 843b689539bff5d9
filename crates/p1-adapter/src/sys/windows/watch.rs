//! Waiting for a descriptor in a future.

use super::fd::OwnedFd;
use super::poll::PollFlags;
use std::io;
use std::time::Duration;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// How long a task sleeps between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Waits for a moment: whether it is ready is for the caller to see. (tokio waits for sockets of
/// its own only.)
pub(crate) async fn watched(ours: OwnedFd, _: PollFlags) -> io::Result<bool> {
    drop(ours);
    let sleep = with_ambient_tokio_runtime(|| tokio::time::sleep(LOOK_EVERY));
    sleep.await;
    Ok(true)
}
