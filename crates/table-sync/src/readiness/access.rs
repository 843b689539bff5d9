//! Access to the value in between.

use super::value::{Stage, WaitState};
use super::{Pollable, Waitable};
use crate::sync::lock;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard as StdMutexGuard;
use std::task::{Poll, Waker};

/// A request for access, pending or not yet made.
pub(super) struct AccessRequest<'w, V: Pollable> {
    waitable: &'w Waitable<V>,
    ticket: Option<u64>,
}

impl<'w, V: Pollable> AccessRequest<'w, V> {
    pub(super) fn new(waitable: &'w Waitable<V>) -> Self {
        Self {
            waitable,
            ticket: None,
        }
    }

    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Access<'w, V>> {
        let waited = &self.waitable.waited;
        loop {
            if let Some(value) = waited.take() {
                // Bound to a name, so that the waker is dropped after the lock: its task may hold a
                // wait for this same value.
                let old = self.leave(&mut lock(&waited.state));
                drop(old);
                return Poll::Ready(Access::new(self.waitable, value));
            }
            let waker = waker.clone();
            let mut state = lock(&waited.state);
            let old = state.accessors.join(&mut self.ticket, (), waker);
            // If the value is out again by now, its holder calls the next one afterwards.
            let out = matches!(state.stage, Stage::Out);
            drop(state);
            drop(old);
            if out {
                return Poll::Pending;
            }
        }
    }

    /// Takes this accessor out of the line; returns its waker to drop.
    fn leave(&mut self, state: &mut WaitState<V>) -> Option<Waker> {
        state.accessors.leave(self.ticket.take()?)?.waker
    }
}

impl<V: Pollable> Drop for AccessRequest<'_, V> {
    fn drop(&mut self) {
        if self.ticket.is_none() {
            return;
        }
        let mut state = lock(&self.waitable.waited.state);
        let old = self.leave(&mut state);
        let next = state.call_next();
        drop(state);
        drop(old);
        drop(next);
    }
}

/// Access to a [`Waitable`]'s value. It stays on its thread. When it is dropped, the next that
/// waits for access goes on, or else the next that waits for readiness. Leaked, it keeps both
/// waiting for ever.
#[must_use = "the access ends when the guard is dropped"]
pub struct Access<'w, V: Pollable> {
    waitable: &'w Waitable<V>,
    pub(super) value: Option<Box<V>>,
    _not_send: PhantomData<StdMutexGuard<'static, ()>>,
}

impl<'w, V: Pollable> Access<'w, V> {
    pub(super) fn new(waitable: &'w Waitable<V>, value: Box<V>) -> Self {
        Self {
            waitable,
            value: Some(value),
            _not_send: PhantomData,
        }
    }
}

impl<V: Pollable> Deref for Access<'_, V> {
    type Target = V;

    fn deref(&self) -> &V {
        self.value.as_deref().expect("access has the value")
    }
}

impl<V: Pollable> DerefMut for Access<'_, V> {
    fn deref_mut(&mut self) -> &mut V {
        self.value.as_deref_mut().expect("access has the value")
    }
}

impl<V: Pollable> Drop for Access<'_, V> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            self.waitable.waited.give_back(value);
        }
    }
}

impl<V: Pollable + fmt::Debug> fmt::Debug for Access<'_, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
