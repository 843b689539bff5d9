//! What a transition of a slot's word grants, and how it is given up.

use super::AnyEntry;
use super::leave::{retract, settle_and_wake};
use crate::mutants::mutant;
use crate::readers::Published;
use crate::slot::Slot;
use crate::state::{DETACHED, EXCLUSIVE, READER, SlotState, TO_CALL};
use crate::storage::Storage;
use crate::sync::atomic::Ordering::Release;
use std::marker::PhantomData;
use std::sync::MutexGuard as StdMutexGuard;

/// Makes a permit stay on its thread, as its place among the visible readers does, without
/// giving up `Sync`.
type NotSend = PhantomData<StdMutexGuard<'static, ()>>;

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
    pub(super) storage: &'t Storage,
    pub(super) slot: &'t Slot,
    _not_send: NotSend,
}

/// A counted [`SharedPermit`] without what the entry says already, so that a call returns it in a
/// register. The caller turns it [back into a permit](Self::at) at once.
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
                // Release: what was read happens before the next acquire of the word.
                let order = Release;
                mutant!(ReaderLeavesRelaxed: let order = Relaxed);
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
}

impl Drop for ExclusivePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: what was written happens before the next acquire of the word. On x86 a
        // subtraction is one instruction; clearing a bit and reading the rest is a loop.
        let order = Release;
        mutant!(WriterLeavesRelaxed: let order = Relaxed);
        let before = SlotState(self.slot.state.fetch_sub(EXCLUSIVE, order));
        if before.has(TO_CALL | DETACHED) {
            settle_and_wake(self.storage, self.slot);
        }
    }
}
