//! The lock of an entry: the transitions of the slot's word, and the permits they grant.
//!
//! This file has the ways in. [`permit`] has what they give, and [`cell`] the value that a permit
//! opens. [`leave`] has what follows when a permit is given up, [`removal`] the ways out of the
//! table, and [`reuse`] a slot between two entries.
//!
//! DESIGN.md has the drawing, the argument for each ordering, and the loom models that go with it.
//!
//! # Lock order
//!
//! From first to last; a thread that holds one takes only later ones, and two of a kind only as
//! stated:
//!
//! 1. entry locks (guards): no order among them is kept here, it is the user's;
//! 2. kinship stripes: ascending ([`crate::kinship`]);
//! 3. a slot's queue lock: one at a time;
//! 4. the pool of reader records: one;
//! 5. free lists: one, a second only by `try_lock`; all of them ascending.
//!
//! `readiness` has two mutexes of its own. They are never held together, nor with any of these
//! but 1. A thread that makes a bucket of slots waits for another that makes the same one. It then
//! holds locks of 1 and 2 at most.
//!
//! User code (drops, wakers, closures) runs under 1 alone.

pub(crate) mod cell;
mod leave;
mod permit;
mod removal;
mod reuse;

use crate::bias::BiasCount;
use crate::mutants::mutant;
use crate::readers;
use crate::slot::{Queue, Slot};
use crate::state::{BIASED, DRAIN, EXCLUSIVE, PRESENT, READER, SlotState, WRITER_QUEUED};
use crate::storage::Storage;
use crate::sync::atomic::Ordering::{Acquire, Relaxed};
use crate::sync::{MutexGuard, lock};
pub(crate) use leave::settle_and_wake;
use leave::{end_drain, too_late};

pub(crate) use permit::{CountedReader, ExclusivePermit, SharedPermit};
pub(crate) use removal::RemoveRefusal;
pub(crate) use reuse::VacantPermit;

/// A slot's queue lock, held.
pub(crate) type QueueGuard<'q> = MutexGuard<'q, Option<Box<Queue>>>;

/// An entry as found: where, and which generation.
#[derive(Clone, Copy)]
pub(crate) struct AnyEntry<'t> {
    pub(crate) storage: &'t Storage,
    pub(crate) slot: &'t Slot,
    pub(crate) generation: u32,
}

/// Why a permit was not granted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The entry has gone.
    NotPresent,
    /// Another thread holds it; a queued waiter will be woken.
    Busy,
    /// No further reader can be counted.
    Saturated,
}

impl<'t> AnyEntry<'t> {
    /// Whether the entry is still there.
    #[inline]
    pub(crate) fn is_present(&self) -> bool {
        self.state().is_present(self.generation)
    }

    /// The word as it is.
    #[inline]
    pub(crate) fn state(&self) -> SlotState {
        // Acquire: pairs with `VacantPermit::publish` and with the release of the last writer,
        // through whatever read-modify-writes lie between.
        SlotState(self.slot.state.load(Acquire))
    }

    /// Sets flags in the word, relaxed, unless the entry has gone: then `false`.
    pub(crate) fn set_if_present(&self, flags: u64) -> bool {
        let mut state = SlotState(self.slot.state.load(Relaxed));
        while state.is_present(self.generation) {
            match self.slot.state.compare_exchange_weak(
                state.0,
                state.with(flags).0,
                Relaxed,
                Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = SlotState(now),
            }
        }
        false
    }

    /// Shared access by publishing, to an entry whose word said that it is present and `BIASED`.
    /// `None` if it is not any more, or if this thread cannot publish. The caller then asks
    /// [`try_counted`](Self::try_counted). Takes the slot's queue lock if it published too late.
    #[inline]
    pub(crate) fn try_published(&self) -> Option<SharedPermit<'t>> {
        let published = readers::publish(self.slot.id)?;
        let may_read = self.state().is_present_with(self.generation, BIASED);
        mutant!(PublishWithoutLook: let may_read = true);
        if may_read {
            return Some(SharedPermit::new(self.storage, self.slot, Some(published)));
        }
        too_late(self.storage, self.slot, published)
    }

    /// One attempt at shared access by being counted. `polite`: not past a queued writer.
    #[inline]
    pub(crate) fn try_counted(self, polite: bool) -> Result<SharedPermit<'t>, Refusal> {
        let slot = self.slot;
        let mut contended = false;
        let mut state = self.state();
        loop {
            if !state.is_present(self.generation) {
                return Err(Refusal::NotPresent);
            }
            if state.has(EXCLUSIVE) || polite && state.has(WRITER_QUEUED) {
                return Err(Refusal::Busy);
            }
            if state.is_full_of_readers() {
                return Err(Refusal::Saturated);
            }
            match slot
                .state
                .compare_exchange_weak(state.0, state.0 + READER, Acquire, Acquire)
            {
                Ok(_) => {
                    count_reader(slot, SlotState(state.0 + READER), contended);
                    return Ok(SharedPermit::new(self.storage, slot, None));
                }
                Err(now) => {
                    state = SlotState(now);
                    contended = true;
                }
            }
        }
    }

    /// Exclusive access if the entry is idle, in one step without a look before it. The entry may
    /// be of any type.
    #[inline]
    pub(crate) fn try_exclusive_idle(&self) -> Option<ExclusivePermit<'t>> {
        let idle = SlotState::new(self.generation, PRESENT);
        // Acquire: after everything the holders before did.
        self.slot
            .state
            .compare_exchange(idle.0, idle.with(EXCLUSIVE).0, Acquire, Relaxed)
            .ok()?;
        reset_count(self.slot);
        Some(ExclusivePermit::new(self.storage, self.slot))
    }

    /// One attempt at exclusive access. Takes the bias back if need be, which costs a barrier on
    /// every processor but waits for no thread. `queue` is the slot's queue lock, if the caller
    /// holds it. A caller that holds it and is told [`NotPresent`](Refusal::NotPresent) must call
    /// [`settle_and_wake`] once it has released the lock.
    #[inline(never)]
    pub(crate) fn try_exclusive(
        self,
        queue: Option<&QueueGuard<'_>>,
    ) -> Result<ExclusivePermit<'t>, Refusal> {
        let slot = self.slot;
        let mut state = SlotState(slot.state.load(Relaxed));
        let mut drained = false;
        loop {
            if !state.is_present(self.generation) {
                // A thread that ends a drain without taking the lock must tell all that relied on
                // the drain: the holder of a detached entry, and the waiters for a later entry of
                // the slot.
                mutant!(DrainEndedUnsettled: return Err(Refusal::NotPresent));
                if drained && queue.is_none() {
                    settle_and_wake(self.storage, slot);
                }
                return Err(Refusal::NotPresent);
            }
            if state.has(BIASED) {
                if revoke(slot, state) {
                    // Only the thread that sets `DRAIN` and leaving readers scan. Other callers
                    // never do, however often they ask.
                    drained = true;
                    match queue {
                        Some(queue) => end_drain(slot, queue),
                        None => end_drain(slot, &lock(&slot.queue)),
                    }
                }
                state = SlotState(slot.state.load(Relaxed));
            } else if state.has(EXCLUSIVE | DRAIN) || state.has_counted_readers() {
                return Err(Refusal::Busy);
            } else {
                // Acquire: after everything the holders before did.
                match slot.state.compare_exchange_weak(
                    state.0,
                    state.with(EXCLUSIVE).0,
                    Acquire,
                    Relaxed,
                ) {
                    Ok(_) => {
                        reset_count(slot);
                        return Ok(ExclusivePermit::new(self.storage, slot));
                    }
                    Err(now) => state = SlotState(now),
                }
            }
        }
    }
}

/// Counts a reader towards the bias, and sets the bias when there were enough: when counting has
/// cost them what taking the bias back will cost.
#[inline]
fn count_reader(slot: &Slot, state: SlotState, contended: bool) {
    let count = BiasCount(slot.bias_count.load(Relaxed));
    let count = count.with_reader(contended);
    slot.bias_count.store(count.0, Relaxed);
    if count.is_reached() {
        set_bias(slot, state);
    }
}

#[cold]
fn set_bias(slot: &Slot, state: SlotState) {
    let id_is_unique = slot.id >> 32 != 0;
    if id_is_unique && !state.has(BIASED | DRAIN | WRITER_QUEUED) {
        // Relaxed: grants nothing by itself; a release sequence goes through it. If it fails the
        // next reader tries again.
        let biased = state.with(BIASED).0;
        let _ = slot
            .state
            .compare_exchange(state.0, biased, Relaxed, Relaxed);
    }
}

/// After a writer got in: readers begin to count anew.
#[inline]
fn reset_count(slot: &Slot) {
    let count = BiasCount(slot.bias_count.load(Relaxed));
    if count.is_begun() {
        slot.bias_count.store(count.reset(false).0, Relaxed);
    }
}

/// `BIASED` becomes `DRAIN`, if the word is still this; says whether it did.
#[cold]
fn revoke(slot: &Slot, state: SlotState) -> bool {
    let drained = state.without(BIASED).with(DRAIN);
    // Relaxed: the barrier in the scan orders it against the readers.
    let done = slot
        .state
        .compare_exchange(state.0, drained.0, Relaxed, Relaxed)
        .is_ok();
    if done {
        let count = BiasCount(slot.bias_count.load(Relaxed));
        slot.bias_count.store(count.reset(true).0, Relaxed);
    }
    done
}
