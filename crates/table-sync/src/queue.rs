//! Who waits for one entry, in order of arrival. All of it happens under the slot's queue lock.

use crate::sync::WakeAll;
use std::collections::VecDeque;
use std::task::Waker;

/// What a waiter wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    Shared,
    Exclusive,
}

struct Waiter {
    ticket: u64,
    mode: Mode,
    /// Taken when it is used: to be woken twice before having looked once is of no use. (And so no
    /// waker is cloned under the lock, which is user code.)
    waker: Option<Waker>,
}

/// The waiters of one slot. Only the first is ever woken: to leave the queue is its own doing,
/// and whoever leaves wakes the next. So a wake-up cannot get lost in a waiter that has gone.
#[derive(Default)]
pub(crate) struct Queue {
    /// Tickets are never reused, not even by the slot's later entries.
    next: u64,
    waiters: VecDeque<Waiter>,
    exclusive: usize,
}

impl Queue {
    /// Puts a waiter last and names it.
    pub(crate) fn join(&mut self, mode: Mode, waker: Waker) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.exclusive += usize::from(mode == Mode::Exclusive);
        self.waiters.push_back(Waiter {
            ticket,
            mode,
            waker: Some(waker),
        });
        ticket
    }

    fn position(&self, ticket: u64) -> Option<usize> {
        // Tickets ascend along the queue.
        self.waiters
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }

    /// Whether the waiter is first; `None` if it is not in the queue any more.
    pub(crate) fn is_first(&self, ticket: u64) -> Option<bool> {
        self.position(ticket).map(|at| at == 0)
    }

    /// Gives the waiter a new waker, and returns the old one for the caller to drop unlocked.
    pub(crate) fn rewake(&mut self, ticket: u64, waker: Waker) -> Option<Waker> {
        let at = self.position(ticket)?;
        self.waiters[at].waker.replace(waker)
    }

    /// Takes the waiter out; says whether it was first and returns its waker for the caller to
    /// drop unlocked.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<(bool, Option<Waker>)> {
        let at = self.position(ticket)?;
        let waiter = self.waiters.remove(at)?;
        self.exclusive -= usize::from(waiter.mode == Mode::Exclusive);
        Some((at == 0, waiter.waker))
    }

    /// The first waiter's waker, for the caller to use unlocked, if `may_go` says that it is of
    /// use to one who wants that. `None` also if it has been used since the waiter last looked.
    pub(crate) fn call_first(&mut self, may_go: impl FnOnce(Mode) -> bool) -> Option<Waker> {
        let first = self.waiters.front_mut()?;
        may_go(first.mode).then(|| first.waker.take())?
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.is_empty()
    }

    pub(crate) fn has_exclusive(&self) -> bool {
        self.exclusive > 0
    }

    /// Empties the queue: the entry has gone. All are woken to see that when what is returned is
    /// dropped, by the caller, unlocked.
    pub(crate) fn drain(&mut self) -> WakeAll {
        self.exclusive = 0;
        WakeAll(self.waiters.drain(..).filter_map(|it| it.waker).collect())
    }
}
