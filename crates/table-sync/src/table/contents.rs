//! What is in the table, and how much may be.

use super::Table;
use crate::error::Error;
use crate::guard::AnyGuard;
use crate::handle::AnyHandle;
use crate::state::SlotState;
use crate::sync::atomic::Ordering::{Acquire, Relaxed};
use std::fmt;

impl Table {
    /// Exclusive access to the entries that `map` names, in its order, each with what `map` has for
    /// it. When an entry's turn comes, this waits for it as [`get_any_mut`](Self::get_any_mut)
    /// does.
    ///
    /// Blocks the thread. Guards that are kept while the iterator goes on are several entry locks
    /// at a time. Two threads that do that with overlapping maps may wait for each other, but not
    /// in a circle: both go in order of handles.
    ///
    /// # Errors
    ///
    /// An item has [`Error::NotPresent`] if its entry is gone when its turn comes.
    pub fn iter_entries<K>(
        &self,
        map: std::collections::BTreeMap<AnyHandle, K>,
    ) -> impl Iterator<Item = (Result<AnyGuard<'_>, Error>, K)> + use<'_, K> {
        map.into_iter()
            .map(|(handle, with)| (self.get_any_mut(handle), with))
    }

    /// The handles of all entries, by index.
    ///
    /// Takes no lock. An entry that was there from before the call until the iterator ended is
    /// reported; one that came or went meanwhile may be.
    pub fn handles(&self) -> impl Iterator<Item = AnyHandle> + use<'_> {
        (0..self.storage.free_slots.used()).filter_map(|index| self.handle_at(index))
    }

    /// The handle of the entry that a slot has now.
    fn handle_at(&self, index: u32) -> Option<AnyHandle> {
        let state = SlotState(self.storage.slots.get(index)?.state.load(Acquire));
        state
            .is_present(state.generation())
            .then(|| AnyHandle::new(index, state.generation()))?
    }

    /// The way back from [`AnyHandle::to_rep`]: the entry that the slot has now, if its
    /// generation ends in the 8 bits that `rep` has of it. `None` otherwise.
    pub fn handle_of_rep(&self, rep: u32) -> Option<AnyHandle> {
        let (index, generation) = AnyHandle::split_rep(rep);
        self.handle_at(index)
            .filter(|handle| handle.generation() as u8 == generation)
    }

    /// How many entries there are. Exact if nothing is pushed or removed meanwhile, and no guard of
    /// a detached entry is dropped. Otherwise it is off by at most the number of those events.
    /// Looks at every free list.
    pub fn len(&self) -> usize {
        let detached = self.storage.detached.load(Relaxed);
        let live = self.storage.free_slots.live();
        // Torn sums may wrap below zero.
        usize::try_from(live.wrapping_sub(detached).cast_signed()).unwrap_or(0)
    }

    /// Whether [`len`](Self::len) is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// See [`set_max_capacity`](Self::set_max_capacity).
    pub fn max_capacity(&self) -> usize {
        self.storage.free_slots.max()
    }

    /// Sets how many slots may be in use, 1,000,000 at first. A push that finds no free slot and
    /// this many in use fails with [`Error::Full`].
    ///
    /// As in `ResourceTable`, lowering it removes nothing, and slots that entries have left are
    /// used again whatever the limit is now. A slot is free again when the removal of its entry
    /// has returned and the last guard has been dropped.
    pub fn set_max_capacity(&self, max: usize) {
        self.storage.free_slots.set_max(max);
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table ")?;
        f.debug_list().entries(self.handles()).finish()
    }
}
