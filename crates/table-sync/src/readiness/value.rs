//! Where the value is, and which waiter is called to go on.

use super::Pollable;
use crate::mutants::mutant;
use crate::sync::{Mutex, lock};
use crate::wait_line::{CallAll, WaitLine};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::{array, iter};

pub(super) type PendingFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Waited<V> {
    pub(super) state: Mutex<WaitState<V>>,
    /// Where a [`ValueLease`] puts the value. Locked for that alone, and never together with
    /// `state`.
    pub(super) home: Mutex<Option<Box<V>>>,
}

/// Where the value is.
pub(super) enum Stage<V> {
    /// The value is here. There is no waiter for it, or one was called to poll.
    Idle(Box<V>),
    /// In a future that was pending when it was last polled.
    Armed(PendingFuture, Waker),
    /// One thread has it: to use it, or to make, poll or drop a future.
    Out,
}

pub(super) struct WaitState<V> {
    pub(super) stage: Stage<V>,
    /// The waker of the current future was used since it was last polled.
    pub(super) fired: bool,
    /// The number of the current future, to tell its waker from those of earlier ones.
    pub(super) future: u64,
    pub(super) closed: bool,
    /// The value is out because a waiter polls.
    pub(super) polling: bool,
    /// Waits for readiness.
    pub(super) waiters: WaitLine<()>,
    /// Waits for access.
    pub(super) accessors: WaitLine<()>,
}

impl<V> WaitState<V> {
    /// To be called after every change: calls each waiter that can go on now and has not been
    /// called already. What is returned is to be dropped with no lock held.
    ///
    /// An accessor in line does not keep a waiter from being called. Both are called, and the first
    /// to arrive goes on. So accessors that follow each other closely do not starve waiters, and a
    /// waiter that was called and does not poll keeps no accessor out.
    pub(super) fn call_next(&mut self) -> Called {
        let poll_is_due = match self.stage {
            Stage::Out => false,
            Stage::Idle(_) => true,
            Stage::Armed(..) => self.fired,
        };
        mutant!(AccessEndsUnseen: let poll_is_due = matches!(self.stage, Stage::Armed(..)) && self.fired);
        // Both will be back, or leave: then this is called again.
        let is_here = !matches!(self.stage, Stage::Out);
        let accessor = is_here.then(|| self.accessors.call_first()).flatten();
        let waiter = poll_is_due.then(|| self.waiters.call_first()).flatten();
        CallAll([waiter, accessor].into_iter().flatten())
    }
}

/// A waiter and an accessor, or one, or none.
pub(super) type Called = CallAll<iter::Flatten<array::IntoIter<Option<Waker>, 2>>>;

/// The value while it is in a future. Gives it back, however that ends.
pub(super) struct ValueLease<V> {
    value: Option<Box<V>>,
    waited: Arc<Waited<V>>,
}

impl<V> Drop for ValueLease<V> {
    fn drop(&mut self) {
        *lock(&self.waited.home) = self.value.take();
    }
}

/// The waker that the future is polled with.
pub(super) struct FutureWaker<V> {
    /// Weak: the value may keep the waker, and is inside.
    pub(super) waited: Weak<Waited<V>>,
    pub(super) future: u64,
}

impl<V: Send> Wake for FutureWaker<V> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(waited) = self.waited.upgrade() else {
            return;
        };
        let mut state = lock(&waited.state);
        if state.future != self.future {
            return;
        }
        state.fired = true;
        let next = state.call_next();
        drop(state);
        drop(next);
    }
}

/// A claim on [`Stage::Out`]. Dropped, it puts the value that is home back in its place.
pub(super) struct Out<'i, V>(pub(super) &'i Waited<V>);

impl<V> Out<'_, V> {
    pub(super) fn value(&self) -> Box<V> {
        lock(&self.0.home).take().expect("a lease has ended")
    }
}

impl<V> Drop for Out<'_, V> {
    fn drop(&mut self) {
        let value = lock(&self.0.home).take();
        let mut state = lock(&self.0.state);
        let mut closed = None;
        state.polling = false;
        match value {
            Some(value) if !state.closed => state.stage = Stage::Idle(value),
            value => closed = value,
        }
        let next = state.call_next();
        drop(state);
        drop(closed);
        drop(next);
    }
}

impl<V: Pollable> Waited<V> {
    /// Puts the value into a future, not polled yet.
    pub(super) fn arm(self: &Arc<Self>, value: Box<V>) -> PendingFuture {
        // Made outside the future, because a future dropped before its first poll must give the
        // value back too.
        let mut lease = ValueLease {
            value: Some(value),
            waited: self.clone(),
        };
        Box::pin(async move {
            if let Some(value) = &mut lease.value {
                value.ready().await;
            }
        })
    }

    /// Takes the value for access, if it can be had.
    pub(super) fn take(&self) -> Option<Box<V>> {
        let mut state = lock(&self.state);
        match std::mem::replace(&mut state.stage, Stage::Out) {
            Stage::Out => None,
            Stage::Idle(value) => Some(value),
            Stage::Armed(future, waker) => {
                state.fired = false;
                drop(state);
                // Puts the value in its place should the drop panic.
                let out = Out(self);
                drop((future, waker));
                let value = out.value();
                std::mem::forget(out);
                Some(value)
            }
        }
    }

    /// Ends access.
    pub(super) fn give_back(&self, value: Box<V>) {
        *lock(&self.home) = Some(value);
        drop(Out(self));
    }

    /// Drops the future if no waiter for it is left.
    pub(super) fn disarm_if_alone(&self) {
        let mut state = lock(&self.state);
        if !state.waiters.is_empty() || !matches!(state.stage, Stage::Armed(..)) {
            return;
        }
        let armed = std::mem::replace(&mut state.stage, Stage::Out);
        state.fired = false;
        drop(state);
        let out = Out(self);
        drop(armed);
        drop(out);
    }
}
