//! How an entry leaves the table, except by waiting like a writer.

use super::cell;
use super::leave::settle_and_wake;
use super::{AnyEntry, ExclusivePermit};
use crate::mutants::mutant;
use crate::slot::Queue;
use crate::state::{
    BIASED, DETACHED, DRAIN, EXCLUSIVE, KIN, PRESENT, QUEUED, SlotState, TO_CALL, WRITER_QUEUED,
};
use crate::sync::atomic::Ordering::{Acquire, Relaxed};
use crate::sync::lock;

impl<'t> AnyEntry<'t> {
    /// Whether the entry is present, idle, without kin and not waited for.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.state() == SlotState::new(self.generation, PRESENT)
    }

    /// Takes such an entry out of the table; `None` if it is anything else.
    #[inline]
    pub(crate) fn remove_idle(&self) -> Option<Removed<'t>> {
        let idle = SlotState::new(self.generation, PRESENT);
        // Acquire: after everything the holders before did.
        self.slot
            .state
            .compare_exchange(
                idle.0,
                idle.without(PRESENT).with(EXCLUSIVE).0,
                Acquire,
                Relaxed,
            )
            .ok()
            .map(|_| Removed {
                permit: ExclusivePermit::new(self.storage, self.slot),
                generation: self.generation,
            })
    }

    /// Removes the entry, held or not. To be [finished](Detached::finish) with no lock held.
    pub(crate) fn detach(&self, kin_checked: bool) -> Result<Detached<'t>, RemoveRefusal> {
        let slot = self.slot;
        mutant!(KinNotLocked: let kin_checked = true);
        let mut state = SlotState(slot.state.load(Relaxed));
        loop {
            if !state.is_present(self.generation) {
                return Err(RemoveRefusal::NotPresent);
            }
            if state.has(KIN) && !kin_checked {
                return Err(RemoveRefusal::Kin);
            }
            let mut after = state.without(PRESENT);
            if after.has(BIASED) {
                after = after.without(BIASED).with(DRAIN);
                mutant!(DetachWithoutDrain: after = after.without(DRAIN));
            }
            let idle = after.is_idle();
            after = after.with(if idle { EXCLUSIVE } else { DETACHED });
            if !idle {
                // Before the entry can be reclaimed, which counts it out again.
                self.storage.detached.fetch_add(1, Relaxed);
            }
            // Acquire, for the case that the value is this thread's from here on.
            match slot
                .state
                .compare_exchange_weak(state.0, after.0, Acquire, Relaxed)
            {
                Ok(_) if idle => {
                    return Ok(Detached::Mine(ExclusivePermit::new(self.storage, slot)));
                }
                Ok(_) => return Ok(Detached::Held(*self, after)),
                Err(now) => {
                    state = SlotState(now);
                    if !idle {
                        self.storage.detached.fetch_sub(1, Relaxed);
                    }
                }
            }
        }
    }
}

impl ExclusivePermit<'_> {
    /// Makes the entry not present, and keeps the permit. `Err` if the entry was detached
    /// meanwhile, or if it may have kin and the caller did not ask to ignore that.
    #[inline]
    pub(crate) fn remove(&self, kin_checked: bool) -> Result<(), RemoveRefusal> {
        mutant!(KinNotLocked: let kin_checked = true);
        let mut state = SlotState(self.slot.state.load(Relaxed));
        loop {
            if !state.has(PRESENT) {
                return Err(RemoveRefusal::NotPresent);
            }
            if state.has(KIN) && !kin_checked {
                return Err(RemoveRefusal::Kin);
            }
            // Relaxed: this thread has the entry, and publishes nothing by this but the absence.
            match self.slot.state.compare_exchange_weak(
                state.0,
                state.without(PRESENT).0,
                Relaxed,
                Relaxed,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => state = SlotState(now),
            }
        }
    }
}

/// Why an entry was not taken out of the table.
pub(crate) enum RemoveRefusal {
    NotPresent,
    Kin,
}

/// An entry removed while idle. No thread waits for it and none joins, so its word is known.
pub(crate) struct Removed<'t> {
    permit: ExclusivePermit<'t>,
    generation: u32,
}

impl<'t> Removed<'t> {
    /// As [`ExclusivePermit::reclaim`].
    #[inline]
    pub(crate) fn reclaim<R>(mut self, take: impl FnOnce(&mut ExclusivePermit<'t>) -> R) -> R {
        let value = take(&mut self.permit);
        self.permit.free(self.generation);
        value
    }
}

/// An entry just detached.
#[must_use]
pub(crate) enum Detached<'t> {
    /// No thread held it.
    Mine(ExclusivePermit<'t>),
    /// It may be held, and its word was this.
    Held(AnyEntry<'t>, SlotState),
}

impl Detached<'_> {
    /// Wakes all waiters for the entry, and drops the value if no thread holds it.
    pub(crate) fn finish(self) {
        let (entry, state) = match self {
            Self::Mine(permit) => return drop(permit.reclaim(cell::take)),
            Self::Held(entry, state) => (entry, state),
        };
        if state.has(QUEUED) {
            let mut queue = lock(&entry.slot.queue);
            // By now the slot may have been reclaimed, even reused. Then these are the waiters of a
            // later entry. They are woken, find no place of theirs in the queue and join again.
            let flags = QUEUED | TO_CALL | WRITER_QUEUED;
            entry.slot.state.fetch_and(!flags, Relaxed);
            let waiting = queue.as_deref_mut().map(Queue::call_all);
            drop(queue);
            drop(waiting);
        }
        if state.has(DRAIN) {
            settle_and_wake(entry.storage, entry.slot);
        }
    }
}
