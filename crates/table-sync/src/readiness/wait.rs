//! Waiting for readiness.

use super::turns::{Core, Fan, Inner, Next, Out, Stage};
use super::{Closed, Pollable};
use crate::mutants::{Mutant, on};
use crate::sync::{lock, park};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A wait, from [`Waitable::ready`](crate::Waitable::ready). Owns what it needs, so it can go anywhere; dropped, it leaves
/// the line, and if it was its turn the next one gets it.
#[must_use = "a wait does nothing unless polled or blocked on"]
pub struct Ready<V: Pollable> {
    pub(super) inner: Arc<Inner<V>>,
    pub(super) ticket: Option<u64>,
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
        park::block_on(None, |context| Pin::new(&mut self).poll(context))
            .expect("without a deadline there is a result")
    }

    /// Blocks the thread until the value is ready, or until `deadline`: then `None`.
    ///
    /// `None` means: not ready when it was asked last, by this call or by another waiter; or somebody
    /// had [access](crate::Waitable::lock) until the deadline, so it could not be asked. A poll by
    /// another waiter that is going on at the deadline is waited for, whatever the deadline.
    pub fn block_until(mut self, mut deadline: Instant) -> Option<Result<(), Closed>> {
        loop {
            let ready = park::block_on(Some(deadline), |it| Pin::new(&mut self).poll(it));
            if ready.is_some() || !lock(&self.inner.core).polling {
                return ready;
            }
            // Polls do not block, and who ends one that stays pending tells nobody.
            deadline = Instant::now() + NAP;
        }
    }

    /// Takes this waiter out of the line; returns its waker to drop and one to wake.
    fn leave(&mut self, core: &mut Core<V>) -> (Option<Waker>, Next) {
        let Some(ticket) = self.ticket.take() else {
            return (None, Next::default());
        };
        if core.turn == Some(ticket) && !on(Mutant::ReadyQuitterKeepsTurn) {
            core.turn = None;
        }
        (core.waiters.leave(ticket), core.next())
    }
}

impl<V: Pollable> Future for Ready<V> {
    type Output = Result<(), Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let inner = this.inner.clone();
        let waker = context.waker().clone();
        let mut core = lock(&inner.core);
        if core.closed {
            this.ticket = None;
            return Poll::Ready(Err(Closed));
        }
        let old = core.waiters.enter(&mut this.ticket, waker);
        if core.turn == this.ticket {
            core.turn = None;
        }
        let asleep = match &core.stage {
            // Whoever has it calls `next` afterwards.
            Stage::Out => true,
            Stage::Armed(..) => !core.fired,
            Stage::Idle(_) => false,
        };
        if asleep {
            drop(core);
            drop(old);
            return Poll::Pending;
        }
        // From here to the next lock the value is this thread's, and events set `fired`.
        core.fired = false;
        core.polling = true;
        let stage = std::mem::replace(&mut core.stage, Stage::Out);
        if let Stage::Idle(_) = stage {
            core.future += 1;
        }
        let number = core.future;
        drop(core);
        drop(old);
        let out = Out(&inner);
        let (mut future, fan) = match stage {
            Stage::Armed(future, fan) => (future, fan),
            Stage::Idle(value) => {
                let fan = Fan {
                    inner: Arc::downgrade(&inner),
                    future: number,
                };
                (inner.arm(value), Waker::from(Arc::new(fan)))
            }
            Stage::Out => unreachable!("looked at above"),
        };
        // Should this panic, `future` gives the value home and `out` puts it in its place.
        let poll = future.as_mut().poll(&mut Context::from_waker(&fan));
        if poll.is_ready() {
            drop(future);
            let (old, next) = this.leave(&mut lock(&inner.core));
            drop(old);
            // The turn goes on from here: the value is back and somebody may be next.
            drop(out);
            next.wake();
            return Poll::Ready(Ok(()));
        }
        let mut core = lock(&inner.core);
        if core.closed {
            drop(core);
            this.ticket = None;
            drop(future);
            return Poll::Ready(Err(Closed));
        }
        std::mem::forget(out);
        core.stage = Stage::Armed(future, fan);
        core.polling = false;
        core.fired &= !on(Mutant::EventDuringPollUnseen);
        // An accessor may have come, or an event.
        let next = core.next();
        drop(core);
        next.wake();
        Poll::Pending
    }
}

impl<V: Pollable> Drop for Ready<V> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let inner = self.inner.clone();
        let (old, next) = self.leave(&mut lock(&inner.core));
        drop(old);
        next.wake();
        inner.disarm_if_alone();
    }
}

impl<V: Pollable> fmt::Debug for Ready<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").finish_non_exhaustive()
    }
}
