//! Taking entries out: with their value, or without waiting for it.

use super::Table;
use crate::entry::{self, Entry};
use crate::error::Error;
use crate::handle::Handle;
use crate::lock::cell;

impl Table {
    /// Takes an entry out and returns its value. Waits for all access to end; until then the entry
    /// stays, for others too.
    ///
    /// Blocks the thread. If the thread holds the entry, it waits for itself. To remove an entry
    /// without waiting, use [`detach`](Self::detach).
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

    /// As [`delete`](Self::delete), if there is no access. Does not wait.
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
    ///
    /// # Errors
    ///
    /// The future gives those of [`delete`](Self::delete).
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

    /// Removes an entry at once, even while it is held. Every later lookup and every waiter gets
    /// [`Error::NotPresent`]. Guards that exist keep the value: it is dropped with the last of
    /// them, on that thread, or here if there is none.
    ///
    /// Does not wait. Until the value is dropped its slot counts against
    /// [`max_capacity`](Self::max_capacity), but not in [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::HasChildren`], [`Error::WrongType`].
    pub fn detach<T: Send + 'static>(&self, handle: Handle<T>) -> Result<(), Error> {
        self.entry_to_delete(handle)?.detach()
    }
}
