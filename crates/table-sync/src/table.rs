//! The table: what a user calls, put together from the other files.
//!
//! This file puts entries in and finds them. [`access`] gives access to them, [`delete`] takes them
//! out, and [`kin`] has parents and children. [`contents`] has what is asked of the whole table,
//! and [`life`] its beginning and end.

mod access;
mod contents;
mod delete;
mod kin;
mod life;

use crate::entry::Entry;
use crate::error::Error;
use crate::handle::{AnyHandle, Handle};
use crate::lock::{AnyEntry, VacantPermit, cell};
use crate::state::SlotState;
use crate::storage::Storage;

/// A table of values of any type, each found by its [`Handle`].
///
/// Every method takes `&self`. See the [crate documentation](crate) for what is guaranteed.
pub struct Table {
    storage: Storage,
}

impl Table {
    /// Puts a value in and names it.
    ///
    /// A thread that finds a free list busy uses another, so this waits for no free list. If the
    /// table looks full, it locks all free lists for a moment, to be sure. It allocates memory for
    /// the value, and slots when all are taken. If another thread is allocating the slots it needs,
    /// it waits for that.
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
    /// The result says where the entry is, for as long as the table lives. It does not hold the
    /// entry; the guards that it gives do.
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

    /// For tests: whether readers of the entry publish themselves just now.
    #[cfg(feature = "test-hooks")]
    #[doc(hidden)]
    pub fn is_biased(&self, handle: AnyHandle) -> bool {
        let entry = self.entry(handle);
        entry.is_ok_and(|it| it.state().has(crate::state::BIASED))
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
