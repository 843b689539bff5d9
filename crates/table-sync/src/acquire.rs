//! Waiting for an entry's lock, for threads and tasks alike.

use crate::lock::{AnyEntry, ExclusivePermit, QueueGuard, Refusal, SharedPermit, settle_and_wake};
use crate::mutants::mutant;
use crate::slot::Queue;
use crate::state::{Mode, QUEUED, SlotState, TO_CALL, WRITER_QUEUED};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{hint, lock, park};
use std::task::{Poll, Waker};

/// What [`LockRequest`] asks for.
pub(crate) trait Permit<'t>: Sized {
    const MODE: Mode;

    /// One attempt. `first`: the caller heads the queue, whose lock it holds.
    fn attempt(
        entry: &AnyEntry<'t>,
        first: bool,
        queue: Option<&QueueGuard<'_>>,
    ) -> Result<Self, Refusal>;
}

impl<'t> Permit<'t> for SharedPermit<'t> {
    const MODE: Mode = Mode::Shared;

    #[inline]
    fn attempt(
        entry: &AnyEntry<'t>,
        first: bool,
        _queue: Option<&QueueGuard<'_>>,
    ) -> Result<Self, Refusal> {
        entry.try_counted(!first)
    }
}

impl<'t> Permit<'t> for ExclusivePermit<'t> {
    const MODE: Mode = Mode::Exclusive;

    #[inline]
    fn attempt(
        entry: &AnyEntry<'t>,
        _first: bool,
        queue: Option<&QueueGuard<'_>>,
    ) -> Result<Self, Refusal> {
        entry.try_exclusive(queue)
    }
}

/// A request for one permit, pending or not yet made. Dropped while pending, it leaves the queue
/// and calls the next, if it may have been called.
pub(crate) struct LockRequest<'t> {
    entry: AnyEntry<'t>,
    ticket: Option<u64>,
}

impl<'t> LockRequest<'t> {
    pub(crate) fn new(entry: AnyEntry<'t>) -> Self {
        Self {
            entry,
            ticket: None,
        }
    }

    /// Blocks for no longer than a queue lock is held: a few instructions. Each call must ask for
    /// the same kind of permit.
    pub(crate) fn poll<P: Permit<'t>>(&mut self, waker: &Waker) -> Poll<Result<P, Refusal>> {
        if self.ticket.is_none() {
            match P::attempt(&self.entry, false, None) {
                Err(Refusal::Busy) => {}
                result => return Poll::Ready(result),
            }
        }
        let entry = self.entry;
        let waker = waker.clone();
        let mut guard = lock(&entry.slot.queue);
        let queue = guard.get_or_insert_default();
        // A missing ticket was taken back by the thread that removed this entry or an earlier entry
        // of the slot. So the waiter joins again, if the entry is still present.
        let joined = self.ticket.is_some_and(|it| queue.position(it).is_some());
        if !entry.announce(P::MODE) && !joined {
            self.ticket = None;
            drop(guard);
            return Poll::Ready(Err(Refusal::NotPresent));
        }
        // Dropped after the lock: wakers are user code.
        let mut old = queue.join(&mut self.ticket, P::MODE, waker);
        let mut next = None;
        mutant!(CalledOnce: if joined { entry.slot.state.fetch_and(!TO_CALL, Relaxed); });
        mutant!(JoinWithoutLook: if !joined { return Poll::Pending; });
        // Again, now that a thread that leaves the entry knows of this waiter.
        let first = self.ticket.and_then(|it| queue.position(it)) == Some(0);
        let result = P::attempt(&entry, first, Some(&guard));
        if !matches!(result, Err(Refusal::Busy)) {
            let queue = guard.get_or_insert_default();
            if let Some(left) = self.ticket.take().and_then(|it| queue.leave(it)) {
                entry.retract_announcement(left.wanted, queue);
                old = left.waker;
            }
            // Readers behind a reader can go in as well. A waiter behind a writer waits for its
            // release.
            if P::MODE == Mode::Shared || result.is_err() {
                next = queue.call_first();
            }
        }
        drop(guard);
        if matches!(result, Err(Refusal::NotPresent)) {
            settle_and_wake(entry.storage, entry.slot);
        }
        drop(old);
        if let Some(next) = next {
            next.wake();
        }
        match result {
            Err(Refusal::Busy) => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    /// Blocks the thread until the permit is granted or the entry has gone.
    #[cold]
    pub(crate) fn block<P: Permit<'t>>(mut self) -> Result<P, Refusal> {
        // Most holds are short.
        for _ in 0..SPINS {
            match P::attempt(&self.entry, false, None) {
                Err(Refusal::Busy) => self.entry.spin(),
                result => return result,
            }
        }
        park::block_on(|context| {
            // Nothing was in its way when it was woken. By now another thread may be, but that soon
            // leaves.
            if self.ticket.is_some() {
                self.entry.look_out(P::MODE);
            }
            self.poll(context.waker())
        })
    }
}

/// How many times a blocked thread looks again before it parks.
const SPINS: usize = if cfg!(any(loom, miri)) { 0 } else { 8 };

impl Drop for LockRequest<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut guard = lock(&self.entry.slot.queue);
        let Some(queue) = guard.as_deref_mut() else {
            return;
        };
        let Some(left) = queue.leave(ticket) else {
            return;
        };
        self.entry.retract_announcement(left.wanted, queue);
        // It may have been called. And a reader may have waited only because of this writer.
        mutant!(QuitterCallsNobody: return);
        let next = left.was_first.then(|| queue.call_first()).flatten();
        drop(guard);
        drop(left);
        if let Some(next) = next {
            next.wake();
        }
    }
}

impl AnyEntry<'_> {
    /// Under the queue lock: says in the word that a waiter is about to join, or to look again.
    /// `false` if the entry has gone.
    fn announce(&self, mode: Mode) -> bool {
        let flags = match mode {
            Mode::Shared => QUEUED | TO_CALL,
            Mode::Exclusive => QUEUED | TO_CALL | WRITER_QUEUED,
        };
        // Relaxed: holders leave by a read-modify-write of the same word. Either it comes
        // after this one and sees the flag, or the attempt that follows sees it.
        self.set_if_present(flags)
    }

    /// Under the queue lock, after a waiter left: takes back the flags that no waiter in the queue
    /// needs any more. The queue is that of the slot's present entry, so that is the entry the
    /// flags are about.
    fn retract_announcement(&self, left: Mode, queue: &Queue) {
        let mut stale = 0;
        if left == Mode::Exclusive && !queue.has(&Mode::Exclusive) {
            stale |= WRITER_QUEUED;
        }
        if queue.is_empty() {
            stale |= QUEUED | TO_CALL;
        }
        if stale != 0 {
            self.slot.state.fetch_and(!stale, Relaxed);
        }
    }

    /// Waits a few moments for the entry to be open to `mode`, only looking at the word.
    fn look_out(&self, mode: Mode) {
        for _ in 0..SPINS {
            let state = SlotState(self.slot.state.load(Relaxed));
            if !state.is_present(self.generation) || !state.is_closed_to(mode) {
                return;
            }
            self.spin();
        }
    }

    /// Waits a moment for a change of the word, only looking at it.
    fn spin(&self) {
        let state = self.slot.state.load(Relaxed);
        for _ in 0..16 {
            hint::spin_loop();
            if self.slot.state.load(Relaxed) != state {
                return;
            }
        }
    }
}
