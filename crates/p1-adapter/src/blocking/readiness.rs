//! Waiting for a descriptor in a future.

use super::wait::{Direction, Interest, LOOK_EVERY, Readiness, is_ready, merged};
use crate::sys::errno::Errno;
use crate::sys::file::duplicate;
use crate::sys::poll::PollFlags;
use crate::sys::poll_set::together;
use crate::sys::watch::watched;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// Completes when the descriptor of `interest` is ready: what `wait` is for threads, for one
/// descriptor. To end it with a signal, run it in
/// [`EndSignal::or_raised`](super::EndSignal::or_raised).
///
/// Any number of tasks may wait on one descriptor. Each registers a duplicate of it, for the length
/// of the wait, with the tokio runtime it is polled in (or wasmtime-wasi's if there is none).
/// Dropping the future gives up the wait and nothing else. Where the process has no descriptor left
/// for the duplicate, the task looks every 20 ms.
///
/// # Errors
///
/// What `poll`, `fcntl` or the registration report.
///
/// # Panics
///
/// If polled inside a tokio runtime whose I/O driver is not enabled, as all of tokio's I/O does.
pub async fn ready(interest: Interest<'_>) -> io::Result<Readiness> {
    let (fd, direction) = interest.parts();
    loop {
        let found = is_ready(fd, direction)?;
        if found.ready {
            return Ok(found);
        }
        let ours = match duplicate(fd) {
            Err(Errno::MFILE) => {
                a_moment().await;
                continue;
            }
            ours => ours?,
        };
        let watch = match direction {
            Direction::Read => PollFlags::IN,
            Direction::Write => PollFlags::OUT,
        };
        if !watched(ours, watch).await? {
            return Ok(Readiness {
                ready: true,
                ..Readiness::default()
            });
        }
    }
}

/// Completes when one of `interests` may be ready; there must be at least one. As [`ready`], but it
/// takes only one descriptor for any number of interests: an `epoll` of them, which is itself
/// waited for.
///
/// # Errors
///
/// What `epoll_create`, `epoll_ctl` or the registration report.
pub(crate) async fn any_ready(interests: &[Interest<'_>]) -> io::Result<()> {
    if let [interest] = interests {
        return ready(*interest).await.map(drop);
    }
    // The descriptors are borrowed for as long as this future lives, and with them what the `epoll`
    // watches.
    match together(merged(interests)) {
        Ok(Some(all)) => watched(all, PollFlags::IN).await.map(drop),
        Ok(None) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::Unsupported => each_ready(interests).await,
        Err(error) if is_out_of_descriptors(&error) => {
            // One that is ready is found without any.
            while !any_is_ready(interests)? {
                a_moment().await;
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::MFILE | Errno::NFILE))
}

fn any_is_ready(interests: &[Interest<'_>]) -> io::Result<bool> {
    for interest in interests {
        let (fd, direction) = interest.parts();
        if is_ready(fd, direction)?.ready {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How long a task waits before it looks again, where it has no descriptor to wait for.
async fn a_moment() {
    let sleep = with_ambient_tokio_runtime(|| tokio::time::sleep(LOOK_EVERY));
    sleep.await;
}

/// As [`any_ready`] where there is no `epoll`: a descriptor for each of them.
async fn each_ready(interests: &[Interest<'_>]) -> io::Result<()> {
    let mut all: Vec<Pin<Box<dyn Future<Output = io::Result<Readiness>> + Send + '_>>> = Vec::new();
    for interest in interests {
        all.push(Box::pin(ready(*interest)));
    }
    first_of(&mut all).await.map(drop)
}

/// What the first of `all` that completes gives.
pub(crate) async fn first_of<F: Future + Unpin>(all: &mut [F]) -> F::Output {
    poll_fn(|cx| {
        let done = all.iter_mut().find_map(|one| match Pin::new(one).poll(cx) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        });
        done.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}
