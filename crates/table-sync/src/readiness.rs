//! Waiting, by any number of threads and tasks at once, for a value that lets only one wait.
//!
//! The difficulty: `ready(&mut self)` borrows the value for as long as it is pending, and dropping
//! the pending future takes its waker back from what would have woken it. So the waiters cannot
//! each have such a future. And the one future must not keep others from reading, writing or
//! closing the value.
//!
//! What is done about it (DESIGN.md has the drawing):
//!
//! - While any waiter is left there is one future, made and polled by one of the waiters, with a
//!   waker of this module's ([`FutureWaker`](value)). The others sleep.
//! - When that waker is used, the first waiter is *called*: woken, to poll the future. If that is
//!   pending (again), all go on sleeping. If it is ready, this waiter is done and the next is
//!   called, which makes a future of its own and polls it. If that is still ready, this one is done
//!   as well; if not, it sleeps with the rest behind it. So each waiter sees a `ready` that
//!   returned for it alone, and an event that satisfies one wakes one more, no more.
//! - Access drops the future, which gives the value back. When it ends, a waiter is called: it
//!   makes a new future and polls it before any waiter sleeps on it. So an event is seen even if no
//!   future was registered for it.
//! - A waiter that is dropped calls the next if it was called, and leaves the future to the others.
//!
//! No lock is held while a future is made, polled or dropped, while a waker is used, or while a
//! waiter sleeps. This module uses nothing of the table, and no `unsafe` code: the future owns the
//! value, by a [`ValueLease`](value) whose drop puts it back.
//!
//! [`value`] decides which waiter goes on, [`wait`] and [`access`] are the two things to wait for,
//! each in a [`wait_line`](crate::wait_line).

mod access;
mod value;
mod wait;

use crate::sync::{Mutex, lock, park};
use crate::wait_line::WaitLine;
use access::AccessRequest;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use value::{Out, Stage, WaitState, Waited};

pub use access::Access;
pub use wait::Ready;

/// Something that can be waited for, with the signature of `wasmtime-wasi-io`'s trait of the same
/// name, so forwarding to it takes one line.
///
/// Readiness is to be a condition of the value, not an event that only a registered future sees.
/// `ready` may be dropped while pending and called again. It must then complete if the condition
/// held meanwhile and has not been used up.
///
/// The future is polled on the thread of the waiter that is called, and dropped on the thread that
/// wants access. A value that needs a runtime for that (tokio's do) needs it on every thread that
/// waits or has access: enter the runtime before [`Ready::block`].
///
/// The future is not boxed, so this trait is not for `dyn`. For values of several types behind one
/// [`Waitable`], wrap a trait that is object-safe: `wasmtime-wasi-io`'s, or one of your own with
/// `async-trait`. That costs a box for each future.
///
/// ```
/// use async_trait::async_trait;
/// use table_sync::{Pollable, Waitable};
///
/// #[async_trait]
/// trait Stream: Send + 'static {
///     async fn ready(&mut self);
///     fn take(&mut self) -> Option<u8>;
/// }
///
/// struct AnyStream(Box<dyn Stream>);
///
/// impl Pollable for AnyStream {
///     async fn ready(&mut self) {
///         self.0.ready().await;
///     }
/// }
///
/// struct Zeros;
/// #[async_trait]
/// impl Stream for Zeros {
///     async fn ready(&mut self) {}
///     fn take(&mut self) -> Option<u8> {
///         Some(0)
///     }
/// }
///
/// let stream = Waitable::new(AnyStream(Box::new(Zeros)));
/// assert_eq!(stream.ready().block(), Ok(()));
/// assert_eq!(stream.lock().0.take(), Some(0));
/// ```
pub trait Pollable: Send + 'static {
    /// Completes when the value is ready for whatever it is waited for.
    fn ready(&mut self) -> impl Future<Output = ()> + Send;
}

/// The value was closed ([`Waitable`] dropped or [taken apart](Waitable::into_inner)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value waited for was closed")]
pub struct Closed;

/// A [`Pollable`] value that any number of threads and tasks can wait for and use.
///
/// Dropping it drops the value and ends all waits with [`Closed`].
///
/// ```
/// use table_sync::{Error, Pollable, Table, Waitable};
///
/// struct Always;
/// impl Pollable for Always {
///     async fn ready(&mut self) {}
/// }
///
/// let table = Table::new();
/// let handle = table.push(Waitable::new(Always))?;
/// // The future holds neither the entry nor the table.
/// let wait = table.get(&handle)?.ready();
/// assert_eq!(wait.block(), Ok(()));
/// // Somebody waiting would not be in the way of this.
/// let value: Always = table.delete(handle)?.into_inner();
/// # Ok::<(), Error>(())
/// ```
pub struct Waitable<V: Pollable> {
    waited: Arc<Waited<V>>,
}

impl<V: Pollable> Waitable<V> {
    /// Makes a value waitable.
    pub fn new(value: V) -> Self {
        Self {
            waited: Arc::new(Waited {
                state: Mutex::new(WaitState {
                    stage: Stage::Idle(Box::new(value)),
                    fired: false,
                    future: 0,
                    closed: false,
                    polling: false,
                    waiters: WaitLine::default(),
                    accessors: WaitLine::default(),
                }),
                home: Mutex::new(None),
            }),
        }
    }

    /// A wait for the value to be ready. It starts when it is first polled, holds nothing of the
    /// value while it sleeps, and may outlive this: then it ends with [`Closed`].
    pub fn ready(&self) -> Ready<V> {
        Ready {
            waited: self.waited.clone(),
            ticket: None,
            not_asked: false,
        }
    }

    /// Access to the value. Waits for others' access and for a poll that is going on, not for
    /// those that wait for readiness: their future is dropped, and made anew after the access.
    ///
    /// Blocks the thread. If the thread has access already, it waits for itself.
    pub fn lock(&self) -> Access<'_, V> {
        let mut request = AccessRequest::new(self);
        park::block_on(|context| request.poll(context.waker()))
    }

    /// As [`lock`](Self::lock), without waiting. `None` while another thread has access or is
    /// polling.
    pub fn try_lock(&self) -> Option<Access<'_, V>> {
        self.waited.take().map(|value| Access::new(self, value))
    }

    /// As [`lock`](Self::lock), without blocking the thread.
    pub fn lock_async(&self) -> impl Future<Output = Access<'_, V>> + Send + Unpin + use<'_, V> {
        let mut request = AccessRequest::new(self);
        poll_fn(move |context| request.poll(context.waker()))
    }

    /// Takes the value out and ends all waits with [`Closed`]. Blocks while a poll is going on.
    pub fn into_inner(self) -> V {
        let mut access = self.lock();
        let value = access.value.take().expect("access has the value");
        drop(access);
        // Dropping `self` closes it.
        *value
    }
}

impl<V: Pollable> Drop for Waitable<V> {
    fn drop(&mut self) {
        let mut state = lock(&self.waited.state);
        state.closed = true;
        let stage = std::mem::replace(&mut state.stage, Stage::Out);
        // Dropped last, also if the value's drop panics.
        let _waiters = state.waiters.call_all();
        drop(state);
        // The future gives the value home; a thread that is polling finds it closed and drops
        // what it has.
        drop(stage);
        drop(Out(&self.waited));
    }
}

impl<V: Pollable> fmt::Debug for Waitable<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = lock(&self.waited.state).waiters.len();
        f.debug_struct("Waitable")
            .field("waiters", &waiters)
            .finish_non_exhaustive()
    }
}
