//! Waiting for readiness.

use super::value::{Called, FutureWaker, Out, Stage, WaitState, Waited};
use super::{Closed, Pollable};
use crate::mutants::mutant;
use crate::sync::{lock, park};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A wait, from [`Waitable::ready`](crate::Waitable::ready). It borrows nothing, so it can be moved
/// to another thread or task. Dropping it takes the waiter out of the line; if it had already been
/// woken to poll, the next waiter is woken instead.
#[must_use = "a wait does nothing unless polled or blocked on"]
pub struct Ready<V: Pollable> {
    pub(super) waited: Arc<Waited<V>>,
    pub(super) ticket: Option<u64>,
    /// Another waiter's poll was going on when this was last polled, so the value was not asked.
    pub(super) not_asked: bool,
}

/// Between looks at a poll that is going on.
const NAP: Duration = Duration::from_micros(50);

impl<V: Pollable> Ready<V> {
    /// Blocks the thread until the value is ready.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    pub fn block(mut self) -> Result<(), Closed> {
        park::block_on(|context| Pin::new(&mut self).poll(context))
    }

    /// Blocks the thread until the value is ready, or until `deadline`: then `None`.
    ///
    /// `None` means that the value was not ready when this call or another waiter asked it last. Or
    /// there was [access](crate::Waitable::lock) until the deadline, so it could not be asked. If
    /// another waiter's poll is going on at the deadline, this waits for that poll to end.
    ///
    /// # Errors
    ///
    /// [`Closed`].
    pub fn block_until(mut self, mut deadline: Instant) -> Option<Result<(), Closed>> {
        loop {
            let ready = park::block_on_until(deadline, |it| Pin::new(&mut self).poll(it));
            if ready.is_some() || !self.not_asked {
                return ready;
            }
            // Polls do not block, and a waiter whose poll stays pending wakes no other. If that
            // poll has ended by now, the value can be asked.
            if lock(&self.waited.state).polling {
                deadline = Instant::now() + NAP;
            }
        }
    }

    /// Takes this waiter out of the line; returns its waker to drop, and those to call now.
    fn leave(&mut self, state: &mut WaitState<V>) -> (Option<Waker>, Called) {
        let ticket = self.ticket.take();
        let left = ticket.and_then(|it| state.waiters.leave(it));
        (left.and_then(|it| it.waker), state.call_next())
    }
}

impl<V: Pollable> Future for Ready<V> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waited = this.waited.clone();
        let waker = context.waker().clone();
        let mut state = lock(&waited.state);
        this.not_asked = state.polling;
        if state.closed {
            this.ticket = None;
            return Poll::Ready(Err(Closed));
        }
        let old = state.waiters.join(&mut this.ticket, (), waker);
        let asleep = match &state.stage {
            // The holder of the value calls the next afterwards.
            Stage::Out => true,
            Stage::Armed(..) => !state.fired,
            Stage::Idle(_) => false,
        };
        if asleep {
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        // From here to the next lock the value is this thread's, and events set `fired`.
        state.fired = false;
        state.polling = true;
        let stage = std::mem::replace(&mut state.stage, Stage::Out);
        if let Stage::Idle(_) = stage {
            state.future += 1;
        }
        let number = state.future;
        drop(state);
        drop(old);
        let out = Out(&waited);
        let (mut future, future_waker) = match stage {
            Stage::Armed(future, future_waker) => (future, future_waker),
            Stage::Idle(value) => {
                let future_waker = FutureWaker {
                    waited: Arc::downgrade(&waited),
                    future: number,
                };
                (waited.arm(value), Waker::from(Arc::new(future_waker)))
            }
            Stage::Out => unreachable!("looked at above"),
        };
        // Should this panic, `future` gives the value home and `out` puts it in its place.
        let poll = future
            .as_mut()
            .poll(&mut Context::from_waker(&future_waker));
        if poll.is_ready() {
            drop(future);
            let (old, next) = this.leave(&mut lock(&waited.state));
            drop(old);
            // The value is back: this calls the next.
            drop(out);
            drop(next);
            return Poll::Ready(Ok(()));
        }
        let mut state = lock(&waited.state);
        if state.closed {
            drop(state);
            this.ticket = None;
            drop(future);
            return Poll::Ready(Err(Closed));
        }
        std::mem::forget(out);
        state.stage = Stage::Armed(future, future_waker);
        state.polling = false;
        mutant!(EventDuringPollUnseen: state.fired = false);
        // An accessor may have come, or an event.
        let next = state.call_next();
        drop(state);
        drop(next);
        Poll::Pending
    }
}

impl<V: Pollable> Drop for Ready<V> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let waited = self.waited.clone();
        let (old, next) = self.leave(&mut lock(&waited.state));
        drop(old);
        mutant!(ReadinessQuitterCallsNobody: return std::mem::forget(next));
        drop(next);
        waited.disarm_if_alone();
    }
}

impl<V: Pollable> fmt::Debug for Ready<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}
