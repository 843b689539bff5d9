//! Waiters in order of arrival: for the lock of an entry, for readiness, for access to a waitable
//! value.
//!
//! A waiter has a ticket and a waker. It is *called* when its waker is used. Only the first is ever
//! called: it leaves the line by itself, and each waiter that leaves calls the next. So a call does
//! not get lost in a waiter that has gone. The line is not locked here: its owner does that.

use std::collections::{VecDeque, vec_deque};
use std::task::Waker;

/// Waiters, each of which wants a `W`.
pub(crate) struct WaitLine<W> {
    /// Tickets are never reused, and ascend along the line.
    next_ticket: u64,
    waiters: VecDeque<Waiter<W>>,
}

struct Waiter<W> {
    ticket: u64,
    wants: W,
    /// A call takes it: a second call before the waiter has looked again is of no use. (So no waker
    /// is cloned under the owner's lock; cloning runs user code.)
    waker: Option<Waker>,
}

/// A waiter that has left.
pub(crate) struct Left<W> {
    pub(crate) was_first: bool,
    pub(crate) wanted: W,
    /// To be dropped with no lock held.
    pub(crate) waker: Option<Waker>,
}

impl<W> Default for WaitLine<W> {
    fn default() -> Self {
        Self {
            next_ticket: 0,
            waiters: VecDeque::new(),
        }
    }
}

impl<W> WaitLine<W> {
    /// Puts a waiter last, or gives the one that has this ticket a new waker, to be called with
    /// again. Returns a waker to drop with no lock held.
    pub(crate) fn join(
        &mut self,
        ticket: &mut Option<u64>,
        wants: W,
        waker: Waker,
    ) -> Option<Waker> {
        if let Some(at) = ticket.and_then(|ticket| self.position(ticket)) {
            return self.waiters[at].waker.replace(waker);
        }
        *ticket = Some(self.next_ticket);
        self.waiters.push_back(Waiter {
            ticket: self.next_ticket,
            wants,
            waker: Some(waker),
        });
        self.next_ticket += 1;
        None
    }

    /// Where in line the waiter is, from 0; `None` if it is not in it any more.
    pub(crate) fn position(&self, ticket: u64) -> Option<usize> {
        self.waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }

    /// Takes the waiter out.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<Left<W>> {
        let at = self.position(ticket)?;
        let waiter = self.waiters.remove(at)?;
        Some(Left {
            was_first: at == 0,
            wanted: waiter.wants,
            waker: waiter.waker,
        })
    }

    /// Calls the first waiter: returns its waker, to be used with no lock held. `None` also if it
    /// was called before and has not joined again since.
    pub(crate) fn call_first(&mut self) -> Option<Waker> {
        self.call_first_if(|_| true)
    }

    /// As [`call_first`](Self::call_first), if `may_go` says that what the first waiter wants may
    /// be had.
    pub(crate) fn call_first_if(&mut self, may_go: impl FnOnce(&W) -> bool) -> Option<Waker> {
        let first = self.waiters.front_mut()?;
        may_go(&first.wants).then(|| first.waker.take())?
    }

    /// Empties the line. All are called when what is returned is dropped, with no lock held.
    pub(crate) fn call_all(&mut self) -> CallAll {
        let wakers = self.waiters.drain(..).filter_map(|it| it.waker);
        CallAll(wakers.collect::<VecDeque<_>>().into_iter())
    }

    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    /// Whether there is a waiter that wants this.
    pub(crate) fn has(&self, wanted: &W) -> bool
    where
        W: PartialEq,
    {
        self.waiters.iter().any(|waiter| waiter.wants == *wanted)
    }
}

/// Uses all wakers when it is dropped, the rest also if one of them panics.
#[must_use]
pub(crate) struct CallAll<I: Iterator<Item = Waker> = vec_deque::IntoIter<Waker>>(pub(crate) I);

impl<I: Iterator<Item = Waker>> Drop for CallAll<I> {
    fn drop(&mut self) {
        struct Rest<'i, I: Iterator<Item = Waker>>(&'i mut I);
        impl<I: Iterator<Item = Waker>> Rest<'_, I> {
            fn wake(&mut self) {
                for waker in &mut *self.0 {
                    waker.wake();
                }
            }
        }
        impl<I: Iterator<Item = Waker>> Drop for Rest<'_, I> {
            fn drop(&mut self) {
                self.wake();
            }
        }
        Rest(&mut self.0).wake();
    }
}
