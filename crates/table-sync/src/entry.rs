//! An entry that was found, and the ways to its value.

use crate::acquire::{LockRequest, Permit};
use crate::error::Error;
use crate::guard::{ExclusiveGuard, SharedGuard};
use crate::handle::{AnyHandle, Handle, Invariant};
use crate::lock::cell;
use crate::lock::{AnyEntry, CountedReader, ExclusivePermit, Refusal, RemoveRefusal, SharedPermit};
use crate::state::{BIASED, SlotState};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::task::{Context, Poll};

/// Where an entry is, from [`Table::find`](crate::Table::find).
///
/// `Copy`, free to make and to keep. It does not hold the entry: once that has gone, all methods
/// answer [`Error::NotPresent`], even if the slot has a later entry. Each method does what the
/// method of the same name on [`Table`](crate::Table) does, without the lookup.
pub struct Entry<'t, T> {
    any: AnyEntry<'t>,
    _type: PhantomData<Invariant<T>>,
}

impl<T> Clone for Entry<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Entry<'_, T> {}

impl<'t, T: 'static> Entry<'t, T> {
    /// `entry` has been seen present; checks that it is a `T`.
    #[inline]
    pub(crate) fn check(entry: AnyEntry<'t>) -> Result<Self, Error> {
        // If the slot has gone to a later entry since, the answer may be about that. Its kind is
        // stored (release) after the generation has changed and loaded (acquire) before that is
        // looked at again, here or when a permit is taken.
        if cell::is::<T>(entry.slot) {
            return Ok(Self {
                any: entry,
                _type: PhantomData,
            });
        }
        Err(if entry.is_present() {
            Error::WrongType
        } else {
            Error::NotPresent
        })
    }

    /// The entry's handle.
    pub fn handle(&self) -> Handle<T> {
        AnyHandle::new(self.any.slot.index(), self.any.generation)
            .expect("no slot has generation 0")
            .typed()
    }

    #[inline]
    pub(crate) fn any(&self) -> AnyEntry<'t> {
        self.any
    }

    /// Whether the entry is still in the table. Reads one word.
    #[inline]
    pub fn is_present(&self) -> bool {
        self.any.is_present()
    }

    /// See [`Table::get`](crate::Table::get).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`]; [`Error::InUse`] only if no further reader can be counted.
    #[inline]
    pub fn get(&self) -> Result<SharedGuard<'t, T>, Error>
    where
        T: Send + Sync,
    {
        self.get_from(self.any.state(), shared)
    }

    /// Shared access, by publishing if the word was one that allows it, otherwise in another way.
    #[inline]
    pub(crate) fn get_from(
        &self,
        state: SlotState,
        otherwise: fn(AnyEntry<'t>) -> Result<CountedReader, Error>,
    ) -> Result<SharedGuard<'t, T>, Error>
    where
        T: Send + Sync,
    {
        if let Some(guard) = self.published(state) {
            return Ok(guard);
        }
        Ok(SharedGuard::new(otherwise(self.any)?.at(self.any)))
    }

    #[inline]
    fn published(&self, state: SlotState) -> Option<SharedGuard<'t, T>>
    where
        T: Send + Sync,
    {
        if !state.is_present_with(self.any.generation, BIASED) {
            return None;
        }
        self.any.try_published().map(SharedGuard::new)
    }

    /// See [`Table::try_get`](crate::Table::try_get).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::InUse`].
    #[inline]
    pub fn try_get(&self) -> Result<SharedGuard<'t, T>, Error>
    where
        T: Send + Sync,
    {
        self.get_from(self.any.state(), try_shared)
    }

    /// See [`Table::get_async`](crate::Table::get_async).
    ///
    /// # Errors
    ///
    /// The future gives [`Error::NotPresent`].
    pub fn get_async(
        self,
    ) -> impl Future<Output = Result<SharedGuard<'t, T>, Error>> + Send + Unpin + use<'t, T>
    where
        T: Send + Sync,
    {
        get_async(Ok(self))
    }

    /// See [`Table::get_mut`](crate::Table::get_mut).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`].
    #[inline]
    pub fn get_mut(&self) -> Result<ExclusiveGuard<'t, T>, Error>
    where
        T: Send,
    {
        self.get_mut_from(exclusive)
    }

    /// Exclusive access, in one step if the entry is idle, otherwise in another way.
    #[inline]
    fn get_mut_from(
        &self,
        otherwise: fn(AnyEntry<'t>) -> Result<ExclusivePermit<'t>, Error>,
    ) -> Result<ExclusiveGuard<'t, T>, Error> {
        match self.any.try_exclusive_idle() {
            Some(permit) => Ok(ExclusiveGuard::new(permit)),
            None => otherwise(self.any).map(ExclusiveGuard::new),
        }
    }

    /// See [`Table::try_get_mut`](crate::Table::try_get_mut).
    ///
    /// # Errors
    ///
    /// [`Error::NotPresent`], [`Error::InUse`].
    #[inline]
    pub fn try_get_mut(&self) -> Result<ExclusiveGuard<'t, T>, Error>
    where
        T: Send,
    {
        self.get_mut_from(try_exclusive)
    }

    /// See [`Table::get_mut_async`](crate::Table::get_mut_async).
    ///
    /// # Errors
    ///
    /// The future gives [`Error::NotPresent`].
    pub fn get_mut_async(
        self,
    ) -> impl Future<Output = Result<ExclusiveGuard<'t, T>, Error>> + Send + Unpin + use<'t, T>
    where
        T: Send,
    {
        get_mut_async(Ok(self))
    }

    /// See [`Table::delete`](crate::Table::delete).
    #[inline]
    pub(crate) fn delete(self) -> Result<T, Error> {
        self.delete_held(exclusive(self.any)?)
    }

    /// See [`Table::try_delete`](crate::Table::try_delete).
    #[inline]
    pub(crate) fn try_delete(self) -> Result<T, Error> {
        self.delete_held(try_exclusive(self.any)?)
    }

    /// With the entry lock held: takes the value out, unless there are children.
    fn delete_held(&self, permit: ExclusivePermit<'t>) -> Result<T, Error> {
        match permit.remove(false) {
            Ok(()) => {}
            Err(RemoveRefusal::NotPresent) => return Err(Error::NotPresent),
            Err(RemoveRefusal::Kin) => {
                self.any
                    .remove_with_kin(|| permit.remove(true).map_err(Error::from))?;
            }
        }
        Ok(*permit.reclaim(cell::take_as))
    }

    /// See [`Table::detach`](crate::Table::detach).
    pub(crate) fn detach(self) -> Result<(), Error> {
        let detached = match self.any.detach(false) {
            Ok(detached) => detached,
            Err(RemoveRefusal::NotPresent) => return Err(Error::NotPresent),
            Err(RemoveRefusal::Kin) => {
                let detach = || self.any.detach(true).map_err(Error::from);
                self.any.remove_with_kin(detach)?
            }
        };
        detached.finish();
        Ok(())
    }
}

// The slow paths, not inlined: each costs far more than the call.

#[inline(never)]
pub(crate) fn shared(entry: AnyEntry<'_>) -> Result<CountedReader, Error> {
    let permit = match entry.try_counted(true) {
        Err(Refusal::Busy) => LockRequest::new(entry).block::<SharedPermit<'_>>()?,
        result => result?,
    };
    Ok(permit.into_counted())
}

#[inline(never)]
pub(crate) fn try_shared(entry: AnyEntry<'_>) -> Result<CountedReader, Error> {
    Ok(entry.try_counted(false)?.into_counted())
}

#[inline(never)]
pub(crate) fn exclusive(entry: AnyEntry<'_>) -> Result<ExclusivePermit<'_>, Error> {
    match entry.try_exclusive(None) {
        Err(Refusal::Busy) => Ok(LockRequest::new(entry).block()?),
        result => Ok(result?),
    }
}

#[inline(never)]
pub(crate) fn try_exclusive(entry: AnyEntry<'_>) -> Result<ExclusivePermit<'_>, Error> {
    Ok(entry.try_exclusive(None)?)
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotPresent => Self::NotPresent,
            Refusal::Busy | Refusal::Saturated => Self::InUse,
        }
    }
}

impl From<RemoveRefusal> for Error {
    /// `Kin` is not refused when the caller has asked to ignore it.
    fn from(_: RemoveRefusal) -> Self {
        Self::NotPresent
    }
}

/// Polls a request for an entry that was perhaps not found.
fn poll<'t, P: Permit<'t>>(
    request: &mut Result<LockRequest<'t>, Error>,
    context: &mut Context<'_>,
) -> Poll<Result<P, Error>> {
    match request {
        Ok(request) => request.poll(context.waker()).map_err(Error::from),
        Err(error) => Poll::Ready(Err(*error)),
    }
}

pub(crate) fn get_async<'t, T: Send + Sync + 'static>(
    entry: Result<Entry<'t, T>, Error>,
) -> impl Future<Output = Result<SharedGuard<'t, T>, Error>> + Send + Unpin + use<'t, T> {
    let mut request = entry.map(|entry| LockRequest::new(entry.any));
    poll_fn(move |context| {
        if let Ok(entry) = &entry
            && let Some(guard) = entry.published(entry.any.state())
        {
            // Dropped here, if not before: a request that waits leaves the queue.
            request = Err(Error::NotPresent);
            return Poll::Ready(Ok(guard));
        }
        poll(&mut request, context).map_ok(SharedGuard::new)
    })
}

pub(crate) fn get_mut_async<'t, T: Send + 'static>(
    entry: Result<Entry<'t, T>, Error>,
) -> impl Future<Output = Result<ExclusiveGuard<'t, T>, Error>> + Send + Unpin + use<'t, T> {
    let mut request = entry.map(|entry| LockRequest::new(entry.any));
    poll_fn(move |context| poll(&mut request, context).map_ok(ExclusiveGuard::new))
}

pub(crate) fn delete_async<'t, T: Send + 'static>(
    entry: Result<Entry<'t, T>, Error>,
) -> impl Future<Output = Result<T, Error>> + Send + Unpin + use<'t, T> {
    let mut request = entry.map(|entry| LockRequest::new(entry.any));
    poll_fn(move |context| {
        let permit = std::task::ready!(poll(&mut request, context))?;
        Poll::Ready(match entry {
            Ok(entry) => entry.delete_held(permit),
            Err(error) => Err(error),
        })
    })
}

impl<T> fmt::Debug for Entry<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handle = AnyHandle::new(self.any.slot.index(), self.any.generation);
        f.debug_tuple("Entry").field(&handle).finish()
    }
}
