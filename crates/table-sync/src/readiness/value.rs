//! Where the value is, and whose turn it is.

use super::Pollable;
use crate::mutants::{Mutant, on};
use crate::sync::{Mutex, WakeAll, lock};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

pub(super) type PendingFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Waited<V> {
    pub(super) state: Mutex<WaitState<V>>,
    /// Where a [`ValueLease`] puts the value. Locked for that alone, and never together with `state`.
    pub(super) home: Mutex<Option<Box<V>>>,
}

/// Where the value is.
pub(super) enum Stage<V> {
    /// Here; nobody waits for it, or the turn is somebody's.
    Idle(Box<V>),
    /// In a future that was pending when it was last polled.
    Armed(PendingFuture, Waker),
    /// With one thread, which accesses it, or makes, polls or drops a future.
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
    pub(super) waiters: Line,
    /// The waiter that was woken to poll, and has not done so yet.
    pub(super) called_waiter: Option<u64>,
    /// Waits for access.
    pub(super) accessors: Line,
    /// The accessor that was woken to try, and has not done so yet.
    pub(super) called_accessor: Option<u64>,
}

/// Sleepers in order of arrival.
#[derive(Default)]
pub(super) struct Line {
    next: u64,
    /// A waker is taken when it is used, until its sleeper brings another.
    line: VecDeque<(u64, Option<Waker>)>,
}

impl Line {
    /// Puts a sleeper last, or gives one that is in line a new waker. Returns a waker to drop.
    pub(super) fn enter(&mut self, ticket: &mut Option<u64>, waker: Waker) -> Option<Waker> {
        let at = ticket.and_then(|ticket| self.position(ticket));
        if let Some((_, old)) = at.and_then(|at| self.line.get_mut(at)) {
            return old.replace(waker);
        }
        *ticket = Some(self.next);
        self.line.push_back((self.next, Some(waker)));
        self.next += 1;
        None
    }

    fn position(&self, ticket: u64) -> Option<usize> {
        self.line.binary_search_by_key(&ticket, |it| it.0).ok()
    }

    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        let at = self.position(ticket)?;
        self.line.remove(at)?.1
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// The ticket of the first, and the waker to wake it with.
    fn call_first(&mut self) -> Option<(u64, Option<Waker>)> {
        self.line
            .front_mut()
            .map(|(ticket, waker)| (*ticket, waker.take()))
    }

    /// Empties the line, and wakes all when what is returned is dropped.
    pub(super) fn dismiss(&mut self) -> WakeAll {
        WakeAll(self.line.drain(..).filter_map(|(_, waker)| waker).collect())
    }
}

impl<V> WaitState<V> {
    /// To be called after every change: says who can go on now, as far as they have not been told
    /// already. To be [woken](ToWake::wake) unlocked.
    ///
    /// An accessor in line does not keep the turn from a waiter: both are told, and whoever is there
    /// first goes on. So accessors that follow each other closely do not starve waiters, and a
    /// waiter that was told and does not poll keeps no accessor out.
    pub(super) fn next(&mut self) -> ToWake {
        let mut next = ToWake::default();
        let poll_is_due = match self.stage {
            Stage::Out => return next,
            Stage::Idle(_) => !on(Mutant::AccessEndsUnseen),
            Stage::Armed(..) => self.fired,
        };
        // Both will be back, or leave: then this is called again.
        if self.called_accessor.is_none()
            && let Some((ticket, waker)) = self.accessors.call_first()
        {
            self.called_accessor = Some(ticket);
            next.accessor = waker;
        }
        if poll_is_due
            && self.called_waiter.is_none()
            && let Some((ticket, waker)) = self.waiters.call_first()
        {
            self.called_waiter = Some(ticket);
            next.waiter = waker;
        }
        next
    }
}

/// Who can go on.
#[derive(Default)]
#[must_use]
pub(super) struct ToWake {
    waiter: Option<Waker>,
    accessor: Option<Waker>,
}

impl ToWake {
    pub(super) fn wake(self) {
        // Also if the first panics.
        struct Then(Option<Waker>);
        impl Drop for Then {
            fn drop(&mut self) {
                if let Some(waker) = self.0.take() {
                    waker.wake();
                }
            }
        }
        let _accessor = Then(self.accessor);
        drop(Then(self.waiter));
    }
}

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
        let next = state.next();
        drop(state);
        next.wake();
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
        let next = state.next();
        drop(state);
        drop(closed);
        next.wake();
    }
}

impl<V: Pollable> Waited<V> {
    /// Puts the value into a future, not polled yet.
    pub(super) fn arm(self: &Arc<Self>, value: Box<V>) -> PendingFuture {
        // Made out here: a future that is dropped before it was polled must give back, too.
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

    /// Drops the future if nobody is left that waits for it.
    pub(super) fn disarm_if_alone(&self) {
        let mut state = lock(&self.state);
        if state.waiters.len() > 0 || !matches!(state.stage, Stage::Armed(..)) {
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
