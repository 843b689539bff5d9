//! Calls of a reactor by an async embedder.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use wasmtime::{WasmParams, WasmResults};

use crate::group::reactor::Reactor;
use crate::host::panics::caught;
use crate::types::end_token::{EndToken, Ended};
use crate::types::error::{CallError, RunError};

/// A call of a [`Reactor`] in progress, as a future of its result.
///
/// Dropping it does not stop the call: a call stopped in the middle of the guest's code would leave
/// the guest in an unknown state. The call goes on, later calls wait for it, and its result is
/// dropped. [`Limits::timeout`](crate::Limits::timeout) and
/// [`GroupHandle::cancel`](crate::GroupHandle::cancel) end it, with the group. Needs no runtime.
#[must_use = "futures do nothing unless polled, and the result of the call is lost"]
pub struct Calling<R> {
    answer: Arc<AsyncAnswer<R>>,
    there: Pin<Box<Ended>>,
}

struct AsyncAnswer<R> {
    result: Mutex<Option<Result<R, CallError>>>,
    /// Raised when the result is there.
    there: EndToken,
}

impl<T: Send + 'static> Reactor<T> {
    /// [`call`](Self::call) without blocking: a host thread of its own waits until other calls are
    /// over, and then for this one.
    ///
    /// # Errors
    ///
    /// [`RunError::HostThread`] when that thread cannot be started. Other errors are the future's.
    pub fn call_async<P, R>(
        self: &Arc<Self>,
        name: &str,
        params: P,
    ) -> Result<Calling<R>, CallError>
    where
        P: WasmParams + Send + Sync + 'static,
        R: WasmResults + Send + Sync + 'static,
    {
        let answer = Arc::new(AsyncAnswer {
            result: Mutex::new(None),
            there: EndToken::default(),
        });
        let caller = {
            let (reactor, answer) = (Arc::clone(self), Arc::clone(&answer));
            let name = name.to_owned();
            move || {
                let result = reactor.call(&name, params);
                *answer.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                // If this was the last handle, it drops what the embedder gave the group, which may
                // panic.
                caught(|| drop(reactor));
                answer.there.raise();
            }
        };
        std::thread::Builder::new()
            .name("wasi-caller".to_owned())
            .spawn(caller)
            .map_err(RunError::HostThread)?;
        Ok(Calling {
            there: Box::pin(answer.there.ended()),
            answer,
        })
    }
}

impl<R> Future for Calling<R> {
    type Output = Result<R, CallError>;

    /// # Panics
    ///
    /// When polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.there.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        let result = &self.answer.result;
        let result = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        Poll::Ready(result.expect("polled again after it was ready"))
    }
}

impl<R> fmt::Debug for Calling<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calling").finish_non_exhaustive()
    }
}
