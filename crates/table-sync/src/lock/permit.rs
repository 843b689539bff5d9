//! What a transition of a slot's word grants, and how it is given up.

use super::AnyEntry;
use super::leave::{retract, settle_and_wake};
use crate::mutants::{Mutant, on, order};
use crate::queue::Queue;
use crate::readers::Published;
use crate::slot::Slot;
use crate::state::{DETACHED, EXCLUSIVE, KIN, PRESENT, QUEUED, READER, SlotState, TO_CALL};
use crate::storage::Storage;
use crate::sync::WakeAll;
use crate::sync::atomic::Ordering::{Relaxed, Release};
use crate::sync::lock;
use std::marker::PhantomData;
use std::sync::MutexGuard as StdMutexGuard;

/// Makes a permit stay on its thread, as its place among the visible readers does, without
/// giving up `Sync`.
type NotSend = PhantomData<StdMutexGuard<'static, ()>>;

/// A slot off the free list.
pub(crate) struct VacantPermit<'t> {
    storage: &'t Storage,
    slot: &'t Slot,
}

/// Shared access to the value.
pub(crate) struct SharedPermit<'t> {
    storage: &'t Storage,
    slot: &'t Slot,
    /// How this reader is seen: published, or counted in the word.
    published: Option<Published>,
    _not_send: NotSend,
}

/// Exclusive access to the value.
pub(crate) struct ExclusivePermit<'t> {
    storage: &'t Storage,
    slot: &'t Slot,
    _not_send: NotSend,
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
        // Release: who sees this generation present sees the value. A plain store will do, as
        // nobody else changes the word of a slot that is not present and not detached.
        self.slot.state.store(
            SlotState::new(generation, PRESENT | flags).0,
            order(Mutant::PushRelaxed, Release),
        );
        std::mem::forget(self);
        generation
    }

    /// The generation the entry will have.
    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        // Relaxed: the free list's lock ordered this after the store in `reclaim`. A slot that
        // was never used has generation 0, which is nobody's.
        SlotState(self.slot.state.load(Relaxed)).generation().max(1)
    }
}

impl Drop for VacantPermit<'_> {
    fn drop(&mut self) {
        let value = super::cell::unput(self);
        self.storage.free_slots.give_back(self.slot);
        drop(value);
    }
}

/// A [`SharedPermit`] that is counted, less what the entry says: so it comes back from a call in a
/// register. To be [made one again](Self::at) at once.
#[must_use]
pub(crate) struct CountedReader(());

impl CountedReader {
    /// `entry` is the one that the permit was for.
    #[inline]
    pub(crate) fn at<'t>(self, entry: AnyEntry<'t>) -> SharedPermit<'t> {
        SharedPermit::new(entry.storage, entry.slot, None)
    }
}

impl<'t> SharedPermit<'t> {
    /// Only for a permit that is counted.
    #[inline]
    pub(crate) fn into_counted(self) -> CountedReader {
        debug_assert!(self.published.is_none(), "a permit by publishing");
        std::mem::forget(self);
        CountedReader(())
    }

    #[inline]
    pub(super) fn new(storage: &'t Storage, slot: &'t Slot, published: Option<Published>) -> Self {
        Self {
            storage,
            slot,
            published,
            _not_send: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }
}

impl Drop for SharedPermit<'_> {
    #[inline]
    fn drop(&mut self) {
        match &self.published {
            Some(published) => retract(self.storage, self.slot, published),
            None => {
                // Release: what was read happens before whoever acquires the word next.
                let order = order(Mutant::ReaderLeavesRelaxed, Release);
                let before = SlotState(self.slot.state.fetch_sub(READER, order));
                let after = SlotState(before.0 - READER);
                if before.has(TO_CALL | DETACHED) && !after.has_counted_readers() {
                    settle_and_wake(self.storage, self.slot);
                }
            }
        }
    }
}

impl<'t> ExclusivePermit<'t> {
    #[inline]
    pub(super) fn new(storage: &'t Storage, slot: &'t Slot) -> Self {
        Self {
            storage,
            slot,
            _not_send: PhantomData,
        }
    }

    #[inline]
    pub(crate) fn slot(&self) -> &'t Slot {
        self.slot
    }

    /// Makes the entry not present, keeping the permit; `Err` if it was detached meanwhile, or
    /// if it may have kin, which the caller did not ask to ignore.
    #[inline]
    pub(crate) fn remove(&self, kin_checked: bool) -> Result<(), RemoveRefusal> {
        let mut state = SlotState(self.slot.state.load(Relaxed));
        let kin_checked = kin_checked || on(Mutant::KinNotLocked);
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

    /// The entry is not present, so nobody joins any more.
    #[cold]
    fn drain_queue(&self) -> Option<WakeAll> {
        lock(&self.slot.queue).as_deref_mut().map(Queue::drain)
    }

    /// Gives the empty slot to its next entry.
    #[inline]
    pub(super) fn free(self, generation: u32) {
        let (storage, slot) = (self.storage, self.slot);
        // From the store on the slot is no longer this entry's.
        std::mem::forget(self);
        // Release, for readers that come too late and for `VacantPermit`; a plain store, as above.
        if generation < storage.max_generation || on(Mutant::WornOutSlotReused) {
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

/// See [`ExclusivePermit::remove`].
pub(crate) enum RemoveRefusal {
    NotPresent,
    Kin,
}

impl Drop for ExclusivePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: what was written happens before whoever acquires the word next.
        // To subtract is one instruction on x86, where to clear a bit and see the rest is a loop.
        let order = order(Mutant::WriterLeavesRelaxed, Release);
        let before = SlotState(self.slot.state.fetch_sub(EXCLUSIVE, order));
        if before.has(TO_CALL | DETACHED) {
            settle_and_wake(self.storage, self.slot);
        }
    }
}
