//! Groups run by an async embedder.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use crate::group::thread_group::ThreadGroup;
use crate::host::panics::caught;
use crate::life::handle::GroupHandle;
use crate::types::end_token::{EndToken, Ended};
use crate::types::error::RunError;
use crate::types::outcome::Outcome;

/// A running group, as a future of its outcome.
///
/// Dropping it before it is ready ends the group as [`Outcome::Cancelled`] and returns at once: a
/// reaper, the host thread that waits for the group, joins its threads. [`reaped`](Self::reaped)
/// tells when that is done. Needs no runtime.
#[must_use = "dropping it ends the group"]
pub struct Running {
    handle: GroupHandle,
    shared: Arc<Shared>,
    ended: Pin<Box<Ended>>,
    ready: bool,
}

#[derive(Default)]
struct Shared {
    result: Mutex<Option<Result<Outcome, RunError>>>,
    /// Raised when the reaper is done.
    reaped: EndToken,
}

impl<T: Send + 'static> ThreadGroup<T> {
    /// [`run`](Self::run) without blocking: a host thread of its own, the reaper, waits for the
    /// group.
    ///
    /// # Errors
    ///
    /// [`RunError::HostThread`] when the reaper cannot be started. Other errors are the future's.
    pub fn run_async(self: &Arc<Self>, export: &str) -> Result<Running, RunError> {
        let shared = Arc::<Shared>::default();
        let reaper = {
            let group = Arc::clone(self);
            let export = export.to_owned();
            let shared = Arc::clone(&shared);
            move || {
                let result = group.run(&export);
                *shared.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                // If this was the last handle, dropping it waits for nothing. It drops what the
                // embedder gave the group, which may panic.
                caught(|| drop(group));
                shared.reaped.raise();
            }
        };
        std::thread::Builder::new()
            .name("wasi-reaper".to_owned())
            .spawn(reaper)
            .map_err(RunError::HostThread)?;
        let ended = Box::pin(shared.reaped.ended());
        Ok(Running {
            handle: self.handle(),
            shared,
            ended,
            ready: false,
        })
    }
}

impl Running {
    /// A handle to the group.
    pub fn handle(&self) -> &GroupHandle {
        &self.handle
    }

    /// A token that is raised when every host thread of the group has been joined (or left behind).
    /// It may be waited for after this future has been dropped.
    pub fn reaped(&self) -> EndToken {
        self.shared.reaped.clone()
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Future for Running {
    type Output = Result<Outcome, RunError>;

    /// # Panics
    ///
    /// When polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.ended.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.ready = true;
        let result = self
            .shared
            .result
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        Poll::Ready(result.expect("polled again after it was ready"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ready {
            self.handle.cancel();
        }
    }
}
