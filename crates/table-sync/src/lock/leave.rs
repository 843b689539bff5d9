//! What follows when a permit is given up: the end of a drain, the call of the next waiter, the end
//! of a detached entry.

use super::QueueGuard;
use super::cell;
use super::permit::{ExclusivePermit, SharedPermit};
use crate::mutants::mutant;
use crate::readers::{self, Published};
use crate::slot::Slot;
use crate::state::{DETACHED, DRAIN, EXCLUSIVE, PRESENT, SlotState, TO_CALL};
use crate::storage::Storage;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use crate::sync::lock;
use std::task::Waker;

/// Ends a reader that published itself and then saw that it may not read. Returns `None`, which the
/// caller passes on.
#[cold]
pub(super) fn too_late<'t>(
    storage: &Storage,
    slot: &Slot,
    published: Published,
) -> Option<SharedPermit<'t>> {
    retract(storage, slot, &published);
    None
}

/// Ends a published reader.
#[inline]
pub(super) fn retract(storage: &Storage, slot: &Slot, published: &Published) {
    published.retract();
    mutant!(RetractWithoutLook: return);
    // Ordered after the retraction by its barrier: either this sees `DRAIN` or the scan that
    // follows the setting of `DRAIN` misses the reader. The word may be of a later entry by now.
    // Settling that one does no harm.
    if SlotState(slot.state.load(Relaxed)).has(DRAIN) {
        settle_and_wake(storage, slot);
    }
}

/// What is to be done after a slot's queue lock was released.
#[must_use]
struct Aftermath<'t> {
    storage: &'t Storage,
    slot: &'t Slot,
    wake: Option<Waker>,
    reclaim: bool,
}

impl Aftermath<'_> {
    fn run(mut self) {
        mutant!(LeaverCallsNobody: return);
        if let Some(waker) = self.wake.take() {
            waker.wake();
        }
    }
}

impl Drop for Aftermath<'_> {
    /// Here, so that it is done also if the waker panics.
    fn drop(&mut self) {
        if self.reclaim {
            self.storage.detached.fetch_sub(1, Relaxed);
            drop(ExclusivePermit::new(self.storage, self.slot).reclaim(cell::take));
        }
    }
}

/// Looks at the entry after a thread left it: the last to leave a detached entry reclaims it,
/// otherwise the first waiter is woken to try again, if it has a chance.
#[cold]
pub(crate) fn settle_and_wake(storage: &Storage, slot: &Slot) {
    let mut queue = lock(&slot.queue);
    let aftermath = settle(storage, slot, &mut queue);
    drop(queue);
    aftermath.run();
}

/// Under the queue lock: takes `DRAIN` away if no published reader is left.
pub(super) fn end_drain(slot: &Slot, _queue: &QueueGuard<'_>) {
    // `DRAIN` ends only here, under the queue lock, and keeps `BIASED` away: the result of the
    // scan cannot be overtaken.
    if SlotState(slot.state.load(Acquire)).has(DRAIN) && !readers::any(slot.id) {
        // Release: the scan acquired what the readers did, the next owner acquires it from here.
        slot.state.fetch_and(!DRAIN, AcqRel);
    }
}

/// Under the queue lock: ends `DRAIN` if it can, then decides what follows.
fn settle<'t>(storage: &'t Storage, slot: &'t Slot, queue: &mut QueueGuard<'_>) -> Aftermath<'t> {
    end_drain(slot, queue);
    let mut state = SlotState(slot.state.load(Acquire));
    let mut reclaim = false;
    while state.has(DETACHED) && state.is_idle() {
        // Acquire: everything all holders did happens before the drop of the value.
        match slot.state.compare_exchange_weak(
            state.0,
            state.without(DETACHED).with(EXCLUSIVE).0,
            AcqRel,
            Acquire,
        ) {
            Ok(_) => {
                reclaim = true;
                break;
            }
            Err(now) => state = SlotState(now),
        }
    }
    // A thread that is in the first waiter's way comes here when it leaves: the waiter's `TO_CALL`
    // was set before.
    let mut called = false;
    let wake = queue.as_deref_mut().and_then(|it| {
        it.call_first_if(|mode| {
            called = !state.has(PRESENT) || !state.is_closed_to(*mode);
            called
        })
    });
    if called {
        // No other thread need come here until the waiter has looked. Relaxed: grants nothing, and
        // a waiter asks to be called under the same lock.
        slot.state.fetch_and(!TO_CALL, Relaxed);
    }
    Aftermath {
        storage,
        slot,
        wake,
        reclaim,
    }
}
