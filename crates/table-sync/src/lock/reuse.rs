//! A slot between two entries: reclaimed from one, given a generation, published as the next.

use super::{ExclusivePermit, cell};
use crate::mutants::mutant;
use crate::slot::{Queue, Slot};
use crate::state::{PRESENT, QUEUED, SlotState};
use crate::storage::Storage;
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::sync::lock;
use crate::wait_line::CallAll;

/// A slot off the free list.
pub(crate) struct VacantPermit<'t> {
    storage: &'t Storage,
    slot: &'t Slot,
}

impl<'t> VacantPermit<'t> {
    pub(crate) fn new(storage: &'t Storage, slot: &'t Slot) -> Self {
        Self { storage, slot }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }

    /// Makes the filled slot an entry with these flags besides `PRESENT`; returns its generation.
    #[inline]
    pub(crate) fn publish(self, flags: u64) -> u32 {
        let generation = self.generation();
        self.slot.bias_count.store(0, Relaxed);
        // Release: a thread that sees this generation present sees the value. A plain store will
        // do, as no other thread changes the word of a slot that is not present and not detached.
        let order = Release;
        mutant!(PushRelaxed: let order = Relaxed);
        let state = SlotState::new(generation, PRESENT | flags);
        self.slot.state.store(state.0, order);
        std::mem::forget(self);
        generation
    }

    /// The generation the entry will have.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: the free list's lock ordered this after the store in `reclaim`. A slot that was
        // never used has generation 0, which no entry has.
        SlotState(self.slot.state.load(Relaxed)).generation().max(1)
    }
}

impl Drop for VacantPermit<'_> {
    fn drop(&mut self) {
        let value = cell::unput(self);
        self.storage.free_slots.give_back(self.slot);
        drop(value);
    }
}

impl ExclusivePermit<'_> {
    /// Frees the slot of a removed entry and returns what `take` takes out of it, which is the
    /// value. Waiters are woken.
    #[inline]
    pub(crate) fn reclaim<R>(mut self, take: impl FnOnce(&mut Self) -> R) -> R {
        let state = SlotState(self.slot.state.load(Relaxed));
        let waiting = state.has(QUEUED).then(|| self.drain_queue());
        let value = take(&mut self);
        self.free(state.generation());
        drop(waiting);
        value
    }

    /// The entry is not present, so no waiter joins any more.
    #[cold]
    fn drain_queue(&self) -> Option<CallAll> {
        lock(&self.slot.queue).as_deref_mut().map(Queue::call_all)
    }

    /// Gives the empty slot to its next entry.
    #[inline]
    pub(super) fn free(self, generation: u32) {
        let (storage, slot) = (self.storage, self.slot);
        // From the store on the slot is no longer this entry's.
        std::mem::forget(self);
        // Release, for readers that come too late and for `VacantPermit`; a plain store, as above.
        let is_worn_out = generation >= storage.max_generation;
        mutant!(WornOutSlotReused: let is_worn_out = false);
        if !is_worn_out {
            slot.state
                .store(SlotState::new(generation + 1, 0).0, Release);
            storage.free_slots.give_back(slot);
        } else {
            // Not present, not on a list, ever again.
            slot.state.store(SlotState::new(generation, 0).0, Release);
            storage.free_slots.retire();
        }
    }
}
