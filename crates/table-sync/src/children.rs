//! Parents and children: how the kinship of entries and their presence go together.
//!
//! An entry that never had a parent or a child is not known here: its word lacks [`KIN`], and
//! nothing here is locked for it. The kinship of other entries is kept in stripes by slot index,
//! each with a lock. An operation on a pair locks the stripes of both, the lower first
//! ([`Kinship::lock_two`](crate::kinship::Kinship::lock_two)), and holds them while it changes the
//! words of either. An entry with `KIN` is removed only under the lock of its own stripe and its
//! parent's. So an entry stays as long as a thread holds its stripe and has seen it present with
//! `KIN` under that lock.
//!
//! Entry locks come before stripes: a remover that waits for an entry's holders holds no stripe.

use crate::error::Error;
use crate::lock::AnyEntry;
use crate::state::{KIN, SlotState};
use crate::sync::atomic::Ordering::Relaxed;

impl AnyEntry<'_> {
    /// Makes present entries child and parent. `Err` and no change if either has gone, or the
    /// child has a parent.
    pub(crate) fn link(self, parent: AnyEntry<'_>) -> Result<(), Error> {
        let (c, p) = (self.slot.index(), parent.slot.index());
        let mut kin = self.storage.kinship.lock_two(c, p);
        // `KIN` on an entry without kin does no harm: it only makes its removal look here.
        if !self.mark_kin() || !parent.mark_kin() {
            return Err(Error::NotPresent);
        }
        if kin.parent_of(c).is_some() {
            return Err(Error::HasParent);
        }
        kin.link(c, p);
        Ok(())
    }

    /// Makes a slot that is not present yet the child of this entry, and runs `publish`, which
    /// makes it present. If the parent has gone, the result is `Err` and `publish` is not run.
    pub(crate) fn link_new<R>(self, child: u32, publish: impl FnOnce() -> R) -> Result<R, Error> {
        let parent = self.slot.index();
        let mut kin = self.storage.kinship.lock_two(child, parent);
        if !self.mark_kin() {
            return Err(Error::NotPresent);
        }
        kin.link(child, parent);
        Ok(publish())
    }

    /// The reverse of `link`.
    pub(crate) fn unlink(self, parent: AnyEntry<'_>) -> Result<(), Error> {
        let (c, p) = (self.slot.index(), parent.slot.index());
        let mut kin = self.storage.kinship.lock_two(c, p);
        if !self.is_present() || !parent.is_present() {
            return Err(Error::NotPresent);
        }
        if kin.parent_of(c) != Some(p) {
            return Err(Error::NotChild);
        }
        kin.unlink(c, p);
        Ok(())
    }

    /// Runs `remove`, unless the entry has children, and then takes the entry from its parent's
    /// list. `remove` makes the entry not present if it is still there, and says whether it did.
    pub(crate) fn remove_with_kin<R>(
        self,
        remove: impl FnOnce() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let index = self.slot.index();
        let kinship = &self.storage.kinship;
        // The parent is known only under the entry's own lock, which may be the later one.
        let mut parent = kinship.lock_one(index).parent_of(index);
        loop {
            let mut kin = kinship.lock_two(index, parent.unwrap_or(index));
            if !self.is_present() {
                return Err(Error::NotPresent);
            }
            let of = kin.of(index);
            let now = of.and_then(|kin| kin.parent);
            if now != parent {
                parent = now;
                continue;
            }
            if of.is_some_and(|kin| !kin.children.is_empty()) {
                return Err(Error::HasChildren);
            }
            let removed = remove()?;
            if let Some(parent) = parent {
                kin.unlink(index, parent);
            }
            return Ok(removed);
        }
    }

    /// Whether the entry has children just now.
    pub(crate) fn has_children(self) -> bool {
        let index = self.slot.index();
        let kin = self.storage.kinship.lock_one(index);
        self.is_present() && kin.of(index).is_some_and(|kin| !kin.children.is_empty())
    }

    /// The entry's children, with their generations, by index.
    pub(crate) fn children(self) -> Result<Vec<(u32, u32)>, Error> {
        let index = self.slot.index();
        let kin = self.storage.kinship.lock_one(index);
        if !self.is_present() {
            return Err(Error::NotPresent);
        }
        // A child leaves only under its parent's stripe, so the generations are theirs.
        let generation = |child| {
            let slot = self.storage.slots.get(child)?;
            Some(SlotState(slot.state.load(Relaxed)).generation())
        };
        let children = kin.of(index).into_iter().flat_map(|kin| &kin.children);
        Ok(children
            .filter_map(|&child| Some((child, generation(child)?)))
            .collect())
    }

    /// Whether the entry may have kin.
    #[inline]
    pub(crate) fn has_kin(&self) -> bool {
        SlotState(self.slot.state.load(Relaxed)).has(KIN)
    }

    /// Says that the entry may have kin; `false` if it has gone.
    fn mark_kin(&self) -> bool {
        // Relaxed: the stripe's lock orders what follows, and a removal that comes later is
        // a read-modify-write of the same word.
        self.state().is_present_with(self.generation, KIN) || self.set_if_present(KIN)
    }
}
