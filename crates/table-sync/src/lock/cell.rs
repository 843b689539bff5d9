//! The value of a slot, and this crate's only `unsafe` code.
//!
//! The functions here ask for a permit ([`crate::lock`]), which is a claim on the slot's state
//! word: only `lock` makes permits, each by the transition of that word which its type names, and
//! gives the claim up in its `drop`. A permit proves access, not the type. The type is proved by
//! [`is`]: a caller of a function that is generic in `T` has seen it answer `true` for the permit's
//! generation. They are in `table` and `entry` (`look`, `idle`, `remove_idle`, `Entry::check`),
//! before a guard is made or a value taken. Tests check it again (`debug_assert`).

#![allow(unsafe_code)]

use super::{ExclusivePermit, SharedPermit, VacantPermit};
use crate::mutants::mutant;
use crate::slot::{Kind, Slot, ValueCell};
use crate::sync::atomic::Ordering::Release;
use std::any::Any;
use std::ptr;

// SAFETY: `kind` is atomic. `value` gives raw pointers, which only the functions below follow, and
// `&mut`. `put`, `take` and `exclusive*` go with a permit that no other permit for the same slot
// coexists with, so they move the value, or a `&mut` to it, between threads: enough for that is
// `Send`, which the boxed type has. `shared` hands out `&T` on several threads at once and asks for
// `T: Sync` itself.
unsafe impl Sync for ValueCell {}

/// Whether the slot's entry is a `T`. Without a permit the answer may be about an entry that came
/// later; it is about the entry of a given generation if that generation was seen before and
/// is seen after.
#[inline]
pub(crate) fn is<T: 'static>(slot: &Slot) -> bool {
    let kind = slot.cell.kind();
    if ptr::eq(kind, Kind::of::<T>()) {
        return true;
    }
    // The same type may have several `Kind`s, one per codegen unit.
    //
    // SAFETY: a `ValueCell` has null there or what was a `&'static Kind`, which nothing writes to.
    unsafe { kind.as_ref() }.is_some_and(|kind| *kind == *Kind::of::<T>())
}

/// Empties a slot that no other thread can reach.
pub(crate) fn empty(slot: &mut Slot) -> Option<Box<dyn Any + Send>> {
    // SAFETY: `&mut`.
    slot.cell.value.with_mut(|place| unsafe { (*place).take() })
}

/// Fills an empty slot.
#[inline]
pub(crate) fn put<T: Send + 'static>(vacant: &VacantPermit<'_>, value: T) {
    let cell = &vacant.slot().cell;
    // Release: a thread that sees this kind sees that the slot's earlier entry has gone.
    let order = Release;
    mutant!(KindRelaxed: let order = Relaxed);
    cell.set_kind(Kind::of::<T>(), order);
    let value: Option<Box<dyn Any + Send>> = Some(Box::new(value));
    // SAFETY: the permit says that this thread took the slot off a free list and has not
    // published it, so no other permit exists for it. Nothing is there to be dropped: a slot on a
    // free list is empty.
    cell.value.with_mut(|place| unsafe { place.write(value) });
}

/// Empties a slot that was filled and not published.
pub(crate) fn unput(vacant: &VacantPermit<'_>) -> Option<Box<dyn Any + Send>> {
    let cell = &vacant.slot().cell;
    // SAFETY: as in `put`.
    cell.value.with_mut(|place| unsafe { (*place).take() })
}

/// Moves the value out of a removed entry.
#[inline]
pub(crate) fn take(permit: &mut ExclusivePermit<'_>) -> Option<Box<dyn Any + Send>> {
    let cell = &permit.slot().cell;
    // SAFETY: an `ExclusivePermit` was made by the transition that set `EXCLUSIVE`, from a state
    // with no reader counted and none published. No permit is made while it is set. It is borrowed
    // exclusively here, so no reference derived from it is alive.
    cell.value.with_mut(|place| unsafe { (*place).take() })
}

/// Moves the value out of a removed entry. `T` is the type the entry was pushed with: see above.
#[inline]
pub(crate) fn take_as<T: 'static>(permit: &mut ExclusivePermit<'_>) -> Box<T> {
    let any = take(permit).expect("an entry has a value until it is reclaimed");
    debug_assert!(
        any.is::<T>(),
        "an entry is found after its type was checked"
    );
    // SAFETY: as in `downcast`; the box was made as a `Box<T>` by `put`.
    unsafe { Box::from_raw(Box::into_raw(any).cast::<T>()) }
}

/// The value, shared. `T` is the type the entry was pushed with: see above.
#[inline]
pub(crate) fn shared<'p, T: Sync + 'static>(permit: &'p SharedPermit<'_>) -> &'p T {
    let cell = &permit.slot().cell;
    debug_assert!(
        is::<T>(permit.slot()),
        "a guard is made after the type was checked"
    );
    let any: &'p (dyn Any + Send) = cell
        .value
        // SAFETY: while a `SharedPermit` exists, as a count in the state word or as a published
        // reader, no transition sets `EXCLUSIVE`, so no thread writes the value. It was put there
        // before the generation became present, which this permit's acquisition has seen. The
        // reference lives no longer than the borrow of the permit.
        .with(|place| unsafe { &*place })
        .as_deref()
        .expect("a held entry has a value");
    downcast(any)
}

/// The value, exclusive. `T` is the type the entry was pushed with: see above.
#[inline]
pub(crate) fn exclusive<'p, T: 'static>(permit: &'p mut ExclusivePermit<'_>) -> &'p mut T {
    let any = exclusive_any(permit);
    debug_assert!(any.is::<T>(), "a guard is made after the type was checked");
    // SAFETY: as in `downcast`.
    unsafe { &mut *ptr::from_mut(any).cast::<T>() }
}

/// The value, exclusive, read only.
#[inline]
pub(crate) fn exclusive_ref<'p, T: 'static>(permit: &'p ExclusivePermit<'_>) -> &'p T {
    downcast(exclusive_any_ref(permit))
}

/// The value, exclusive, as whatever it is.
#[inline]
pub(crate) fn exclusive_any<'p>(permit: &'p mut ExclusivePermit<'_>) -> &'p mut (dyn Any + Send) {
    let cell = &permit.slot().cell;
    cell.value
        // SAFETY: as in `take`; the reference lives no longer than the exclusive borrow.
        .with_mut(|place| unsafe { &mut *place })
        .as_deref_mut()
        .expect("a held entry has a value")
}

/// The value, exclusive, read only, as whatever it is.
#[inline]
pub(crate) fn exclusive_any_ref<'p>(permit: &'p ExclusivePermit<'_>) -> &'p (dyn Any + Send) {
    let cell = &permit.slot().cell;
    cell.value
        // SAFETY: as in `take`, but borrowed shared, and so is the result.
        .with(|place| unsafe { &*place })
        .as_deref()
        .expect("a held entry has a value")
}

/// Skips the check of the type, which was made when the guard was.
#[inline]
fn downcast<T: 'static>(any: &(dyn Any + Send)) -> &T {
    debug_assert!(any.is::<T>(), "a guard is made after the type was checked");
    // SAFETY: a typed guard is made by `Table` only after `is::<T>` was true with the
    // slot's generation the same before (when the entry was found) and after (when the permit
    // was taken). `kind` changes only together with the value, in `put`, between generations.
    unsafe { &*ptr::from_ref(any).cast::<T>() }
}
