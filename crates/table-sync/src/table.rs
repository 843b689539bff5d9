//! The table: what a user calls, put together from the other files.

mod life;

use crate::acquire::LockRequest;
use crate::entry::{self, Entry};
use crate::error::Error;
use crate::guard::{AnyGuard, ExclusiveGuard, SharedGuard};
use crate::handle::{AnyHandle, Handle};
use crate::lock::cell;
use crate::lock::{AnyEntry, Refusal, VacantPermit};
use crate::state::{BIASED, KIN, SlotState};
use crate::storage::Storage;
use crate::sync::atomic::Ordering::{Acquire, Relaxed};
use std::fmt;

/// A table of values of any type, each found by its [`Handle`].
///
/// Every method takes `&self`. See the [crate documentation](crate) for what is guaranteed.
pub struct Table {
    storage: Storage,
}

impl Table {
    /// Puts a value in and names it.
    ///
    /// Takes no lock that another thread waits for, unless it looks as if the table were full (then
    /// all free lists are locked for a moment, to be sure): a thread that finds a free list busy uses
    /// another. Allocates memory for the value, and slots when all are taken; a thread that needs
    /// slots which another is just allocating waits for that.
    ///
    /// # Errors
    ///
    /// [`Error::Full`]; the value is dropped then.
    #[inline]
    pub fn push<T: Send + 'static>(&self, value: T) -> Result<Handle<T>, Error> {
        let vacant = self.vacant()?;
        cell::put(&vacant, value);
        Ok(named(vacant, 0))
    }

    #[inline]
    fn vacant(&self) -> Result<VacantPermit<'_>, Error> {
        let slot = self.storage.free_slots.checkout(&self.storage.slots);
        Ok(VacantPermit::new(&self.storage, slot.ok_or(Error::Full)?))
    }

    /// Puts a value in as a child of an entry, which cannot be removed before it.
    ///
    /// Locks the kinship stripes of both entries for a moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if there is no such parent, [`Error::Full`]; the value is dropped
    /// then. The parent's type is not looked at.
    pub fn push_child<T, U>(&self, value: T, parent: &Handle<U>) -> Result<Handle<T>, Error>
    where
        T: Send + 'static,
        U: 'static,
    {
        let parent = self.entry(parent.any())?;
        let vacant = self.vacant()?;
        cell::put(&vacant, value);
        let index = vacant.slot().index();
        // If the parent has gone the value is dropped with this, unlocked.
        let mut vacant = Some(vacant);
        parent
            .link_new(index, || vacant.take().map(|vacant| named(vacant, KIN)))?
            .ok_or(Error::NotPresent)
    }

    /// Makes one entry the child of another.
    ///
    /// Locks the kinship stripes of both for a moment. A circle of parents can be made, and
    /// then none of it can be removed before the circle is broken by
    /// [`remove_child`](Self::remove_child).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if either is missing, [`Error::HasParent`]. The types are not looked
    /// at.
    pub fn add_child<T: 'static, U: 'static>(
        &self,
        child: Handle<T>,
        parent: Handle<U>,
    ) -> Result<(), Error> {
        let child = self.entry(child.any())?;
        child.link(self.entry(parent.any())?)
    }

    /// Ends what [`push_child`](Self::push_child) or [`add_child`](Self::add_child) began; both
    /// entries stay.
    ///
    /// Locks the kinship stripes of both for a moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`] if either is missing, [`Error::NotChild`]. The types are not looked
    /// at.
    pub fn remove_child<T: 'static, U: 'static>(
        &self,
        child: Handle<T>,
        parent: Handle<U>,
    ) -> Result<(), Error> {
        let child = self.entry(child.any())?;
        child.unlink(self.entry(parent.any())?)
    }

    #[inline]
    pub(crate) fn entry(&self, handle: AnyHandle) -> Result<AnyEntry<'_>, Error> {
        self.any_entry(handle)
            .filter(AnyEntry::is_present)
            .ok_or(Error::NotPresent)
    }

    /// The entry that the handle names, whether or not it is there.
    #[inline]
    fn any_entry(&self, handle: AnyHandle) -> Option<AnyEntry<'_>> {
        Some(AnyEntry {
            storage: &self.storage,
            slot: self.storage.slots.get(handle.index())?,
            generation: handle.generation(),
        })
    }

    /// Finds an entry, without locking and without writing anything.
    ///
    /// What is returned says where the entry is, for as long as the table lives. It does not hold
    /// the entry: that is what guards do, which it gives.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::WrongType`].
    #[inline]
    pub fn find<T: 'static>(&self, handle: &Handle<T>) -> Result<Entry<'_, T>, Error> {
        Ok(self.look(handle)?.0)
    }

    /// An entry, and its word as it was when it was found.
    #[inline]
    fn look<T: 'static>(&self, handle: &Handle<T>) -> Result<(Entry<'_, T>, SlotState), Error> {
        let entry = self.any_entry(handle.any()).ok_or(Error::NotPresent)?;
        let state = entry.state();
        if !state.is_present(entry.generation) {
            return Err(Error::NotPresent);
        }
        Ok((Entry::check(entry)?, state))
    }

    /// Shared access. Waits while somebody has exclusive access or has been waiting for it.
    ///
    /// Blocks the thread. Not for a thread that holds the entry already: with a writer waiting in
    /// between, it waits for itself ([`try_get`](Self::try_get) does not).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], also when the entry goes while this waits; [`Error::WrongType`];
    /// [`Error::InUse`] only if no further reader can be counted.
    #[inline]
    pub fn get<T: Send + Sync + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> Result<SharedGuard<'_, T>, Error> {
        let (entry, state) = self.look(handle)?;
        entry.get_from(state, entry::shared)
    }

    /// Shared access if nobody has exclusive access. Does not wait, and does not queue up behind
    /// those that wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::WrongType`], [`Error::InUse`].
    #[inline]
    pub fn try_get<T: Send + Sync + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> Result<SharedGuard<'_, T>, Error> {
        let (entry, state) = self.look(handle)?;
        entry.get_from(state, entry::try_shared)
    }

    /// As [`get`](Self::get), without blocking the thread. Dropped before it is ready, the future
    /// leaves the queue.
    pub fn get_async<T: Send + Sync + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> impl Future<Output = Result<SharedGuard<'_, T>, Error>> + Send + Unpin + use<'_, T> {
        entry::get_async(self.find(handle))
    }

    /// Exclusive access. Waits for everybody else's access to end; new shared access by
    /// [`get`](Self::get) waits meanwhile. Waiters try in order of arrival, but whoever comes at
    /// the right moment may be faster.
    ///
    /// Blocks the thread. Not for a thread that holds the entry already: it waits for itself.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], also when the entry goes while this waits; [`Error::WrongType`].
    #[inline]
    pub fn get_mut<T: Send + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> Result<ExclusiveGuard<'_, T>, Error> {
        match self.idle(handle) {
            Some(permit) => Ok(permit),
            None => self.get_mut_held(handle),
        }
    }

    #[inline(never)]
    fn get_mut_held<T: Send + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> Result<ExclusiveGuard<'_, T>, Error> {
        entry::exclusive(self.find(handle)?.any()).map(ExclusiveGuard::new)
    }

    /// Exclusive access if the entry is idle. It is not looked at first: a load right after the
    /// unlocking of the same word would wait for that.
    #[inline]
    fn idle<T: Send + 'static>(&self, handle: &Handle<T>) -> Option<ExclusiveGuard<'_, T>> {
        let entry = self.any_entry(handle.any())?;
        // The type is that of this generation only once the permit is there; before, it saves an
        // entry of another type from being locked.
        if !cell::is::<T>(entry.slot) {
            return None;
        }
        let permit = entry.try_exclusive_idle()?;
        if !cell::is::<T>(entry.slot) {
            return None;
        }
        Some(ExclusiveGuard::new(permit))
    }

    /// Exclusive access if nobody has access. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::WrongType`], [`Error::InUse`].
    #[inline]
    pub fn try_get_mut<T: Send + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> Result<ExclusiveGuard<'_, T>, Error> {
        match self.idle(handle) {
            Some(permit) => Ok(permit),
            None => self.find(handle)?.try_get_mut(),
        }
    }

    /// As [`get_mut`](Self::get_mut), without blocking the thread. Dropped before it is ready, the
    /// future leaves the queue.
    pub fn get_mut_async<T: Send + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> impl Future<Output = Result<ExclusiveGuard<'_, T>, Error>> + Send + Unpin + use<'_, T>
    {
        entry::get_mut_async(self.find(handle))
    }

    /// Exclusive access to an entry of whatever type. Otherwise as [`get_mut`](Self::get_mut).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`].
    pub fn get_any_mut(&self, handle: AnyHandle) -> Result<AnyGuard<'_>, Error> {
        let entry = self.entry(handle)?;
        match LockRequest::new(entry).block() {
            Ok(permit) => Ok(AnyGuard::new(permit)),
            Err(refusal) => Err(refusal.into()),
        }
    }

    /// Takes an entry out and returns its value. Waits for everybody's access to end; until then
    /// the entry stays, for others too.
    ///
    /// Blocks the thread. Not for a thread that holds the entry: it waits for itself. To get rid
    /// of an entry without waiting, [`detach`](Self::detach) it.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], also when the entry goes while this waits; [`Error::HasChildren`],
    /// at once if there are children, or after the wait if one was added; [`Error::WrongType`].
    #[inline]
    pub fn delete<T: Send + 'static>(&self, handle: Handle<T>) -> Result<T, Error> {
        match self.remove_idle(handle) {
            Some(removed) => Ok(removed),
            None => self.delete_held(handle),
        }
    }

    /// As [`delete`](Self::delete), if nobody has access. Does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::HasChildren`], [`Error::WrongType`], [`Error::InUse`].
    #[inline]
    pub fn try_delete<T: Send + 'static>(&self, handle: Handle<T>) -> Result<T, Error> {
        match self.remove_idle(handle) {
            Some(removed) => Ok(removed),
            None => self.entry_to_delete(handle)?.try_delete(),
        }
    }

    /// Removes an entry that is idle and has no kin.
    #[inline]
    fn remove_idle<T: Send + 'static>(&self, handle: Handle<T>) -> Option<T> {
        let entry = self.any_entry(handle.any())?;
        // The type is looked at between two looks at the word.
        if !entry.is_idle() || !cell::is::<T>(entry.slot) {
            return None;
        }
        Some(*entry.remove_idle()?.reclaim(cell::take_as))
    }

    #[inline(never)]
    fn delete_held<T: Send + 'static>(&self, handle: Handle<T>) -> Result<T, Error> {
        self.entry_to_delete(handle)?.delete()
    }

    /// As [`delete`](Self::delete), without blocking the thread. Dropped before it is ready, the
    /// future leaves the queue and the entry stays.
    pub fn delete_async<T: Send + 'static>(
        &self,
        handle: Handle<T>,
    ) -> impl Future<Output = Result<T, Error>> + Send + Unpin + use<'_, T> {
        entry::delete_async(self.entry_to_delete(handle))
    }

    fn entry_to_delete<T: Send + 'static>(&self, handle: Handle<T>) -> Result<Entry<'_, T>, Error> {
        let entry = self.entry(handle.any())?;
        if entry.has_kin() && entry.has_children() {
            return Err(Error::HasChildren);
        }
        Entry::check(entry)
    }

    /// Removes an entry at once, whoever holds it. It is gone for everybody who looks for it or
    /// waits for it (they get [`Error::NotPresent`]); whoever has access keeps it, and the value
    /// is dropped with the last of them, on that thread, or here if there is none.
    ///
    /// Waits for nobody. Until the value is dropped its slot counts against
    /// [`max_capacity`](Self::max_capacity), but not in [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::HasChildren`], [`Error::WrongType`].
    pub fn detach<T: Send + 'static>(&self, handle: Handle<T>) -> Result<(), Error> {
        self.entry_to_delete(handle)?.detach()
    }

    /// The entry's children, by index.
    ///
    /// Locks the entry's kinship stripe for a moment. The answer is of that moment.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`]. The type is not looked at.
    pub fn children<T: 'static>(&self, parent: &Handle<T>) -> Result<Vec<AnyHandle>, Error> {
        let children = self.entry(parent.any())?.children()?;
        Ok(children
            .into_iter()
            .filter_map(|(index, generation)| AnyHandle::new(index, generation))
            .collect())
    }

    /// Exclusive access to the entry's [`children`](Self::children), one after the other; waits
    /// for each as [`get_any_mut`](Self::get_any_mut) does. Children that have gone by the time
    /// their turn comes are left out.
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`]. The type is not looked at.
    pub fn iter_children<T: 'static>(
        &self,
        parent: &Handle<T>,
    ) -> Result<impl Iterator<Item = AnyGuard<'_>> + use<'_, T>, Error> {
        let children = self.children(parent)?;
        Ok(children
            .into_iter()
            .filter_map(|child| self.get_any_mut(child).ok()))
    }

    /// Exclusive access to the entries that `map` names, in its order, each with what `map` has
    /// for it; waits for each, when its turn comes, as [`get_any_mut`](Self::get_any_mut) does.
    ///
    /// Blocks the thread. Guards that are kept while the iterator goes on are several entry locks at a
    /// time: two threads that do that with overlapping maps wait for each other, and not in a circle,
    /// as both go in order of handles.
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

    /// For tests: whether readers of the entry publish themselves just now.
    #[doc(hidden)]
    pub fn is_biased(&self, handle: AnyHandle) -> bool {
        let entry = self.entry(handle);
        entry.is_ok_and(|it| it.state().has(BIASED))
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

    /// How many entries there are. Exact if nothing is pushed or removed meanwhile, and no guard of a
    /// detached entry dropped; otherwise off by no more than what is. Looks at every free list.
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
    /// as many in use is [`Error::Full`].
    ///
    /// As in `ResourceTable`, lowering it removes nothing, and slots that entries have left are
    /// used again whatever the limit is now. A slot is free again when the removal of its entry
    /// has returned and the last guard has been dropped.
    pub fn set_max_capacity(&self, max: usize) {
        self.storage.free_slots.set_max(max);
    }
}

/// Publishes a filled slot and names it.
#[inline]
fn named<T>(vacant: VacantPermit<'_>, flags: u64) -> Handle<T> {
    let index = vacant.slot().index();
    let generation = vacant.publish(flags);
    AnyHandle::new(index, generation)
        .expect("no slot has generation 0")
        .typed()
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotPresent => Self::NotPresent,
            Refusal::Busy | Refusal::Saturated => Self::InUse,
        }
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table ")?;
        f.debug_list().entries(self.handles()).finish()
    }
}
