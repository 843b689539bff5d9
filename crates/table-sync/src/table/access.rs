//! Shared and exclusive access to an entry.

use super::Table;
use crate::acquire::LockRequest;
use crate::entry;
use crate::error::Error;
use crate::guard::{AnyGuard, ExclusiveGuard, SharedGuard};
use crate::handle::{AnyHandle, Handle};
use crate::lock::cell;

impl Table {
    /// Shared access. Waits while a thread or task has exclusive access or waits for it.
    ///
    /// Blocks the thread. If the thread holds the entry already and a writer waits in between, it
    /// waits for itself ([`try_get`](Self::try_get) does not).
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

    /// Shared access if none has exclusive access. Does not wait, and does not queue up behind
    /// waiters.
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
    ///
    /// # Errors
    ///
    /// The future gives those of [`get`](Self::get).
    pub fn get_async<T: Send + Sync + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> impl Future<Output = Result<SharedGuard<'_, T>, Error>> + Send + Unpin + use<'_, T> {
        entry::get_async(self.find(handle))
    }

    /// Exclusive access. Waits for all other access to end; new shared access by [`get`](Self::get)
    /// waits meanwhile. Waiters try in order of arrival, but a caller that comes at the right
    /// moment may be faster.
    ///
    /// Blocks the thread. If the thread holds the entry already, it waits for itself.
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

    /// Exclusive access if the entry is idle. The word is not loaded first: right after an unlock
    /// of the same word, that load would wait for the unlock.
    #[inline]
    fn idle<T: Send + 'static>(&self, handle: &Handle<T>) -> Option<ExclusiveGuard<'_, T>> {
        let entry = self.any_entry(handle.any())?;
        // The type is surely that of this generation only once the permit is there. The look before
        // it only avoids locking an entry of another type.
        if !cell::is::<T>(entry.slot) {
            return None;
        }
        let permit = entry.try_exclusive_idle()?;
        if !cell::is::<T>(entry.slot) {
            return None;
        }
        Some(ExclusiveGuard::new(permit))
    }

    /// Exclusive access if there is no other access. Does not wait.
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
    ///
    /// # Errors
    ///
    /// The future gives those of [`get_mut`](Self::get_mut).
    pub fn get_mut_async<T: Send + 'static>(
        &self,
        handle: &Handle<T>,
    ) -> impl Future<Output = Result<ExclusiveGuard<'_, T>, Error>> + Send + Unpin + use<'_, T>
    {
        entry::get_mut_async(self.find(handle))
    }

    /// Exclusive access to an entry of whatever type. Otherwise as [`get_mut`](Self::get_mut):
    /// blocks the thread.
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
}
