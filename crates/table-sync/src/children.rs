//! Parents and children, and the one place that locks more than one thing of a kind.
//!
//! An entry that never had a parent or a child is not known here, and nothing here is locked for
//! it: its word lacks [`KIN`]. The others' kinship is kept in stripes by slot index, each with a
//! lock. An operation on a pair locks the stripes of both, the lower first ([`Kinship::pair`]), and
//! holds them while it changes the words of either: an entry with `KIN` is removed only under the
//! lock of its own stripe and its parent's. So whoever holds an entry's stripe and saw it present
//! with `KIN` may rely on its staying.
//!
//! Entry locks come before stripes: a remover that waits for an entry's holders holds no stripe.

use crate::error::Error;
use crate::lock::AnyEntry;
use crate::state::{KIN, SlotState};
use crate::sync::atomic::Ordering::Relaxed;
use crate::sync::{Mutex, MutexGuard, lock};
use std::collections::{BTreeSet, HashMap};

#[cfg(not(loom))]
const STRIPES: u32 = 32;
#[cfg(loom)]
const STRIPES: u32 = 2;

/// The kin of one entry, by slot index. Indices will do: an entry leaves its parent's list before
/// its slot can be reused, and cannot go before its children.
#[derive(Default)]
struct Kin {
    parent: Option<u32>,
    children: BTreeSet<u32>,
}

type Stripe = HashMap<u32, Kin>;

/// All kinship of one table.
pub(crate) struct Kinship {
    stripes: Box<[Mutex<Stripe>]>,
}

/// The stripes of two indices, locked; one lock if they share it.
struct Pair<'k> {
    low: MutexGuard<'k, Stripe>,
    high: Option<MutexGuard<'k, Stripe>>,
    low_at: u32,
}

impl Pair<'_> {
    fn of(&mut self, index: u32) -> &mut Stripe {
        match &mut self.high {
            Some(high) if index % STRIPES != self.low_at => high,
            _ => &mut self.low,
        }
    }

    fn forget_if_alone(&mut self, index: u32) {
        let stripe = self.of(index);
        if stripe
            .get(&index)
            .is_some_and(|kin| kin.parent.is_none() && kin.children.is_empty())
        {
            stripe.remove(&index);
        }
    }

    fn unlink(&mut self, child: u32, parent: u32) {
        if let Some(kin) = self.of(child).get_mut(&child) {
            kin.parent = None;
        }
        if let Some(kin) = self.of(parent).get_mut(&parent) {
            kin.children.remove(&child);
        }
        self.forget_if_alone(child);
        self.forget_if_alone(parent);
    }
}

impl Kinship {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashMap::new())).collect(),
        }
    }

    fn one(&self, index: u32) -> MutexGuard<'_, Stripe> {
        lock(&self.stripes[(index % STRIPES) as usize])
    }

    /// The only place where two locks of a kind are taken: ascending.
    fn pair(&self, a: u32, b: u32) -> Pair<'_> {
        let (a, b) = (a % STRIPES, b % STRIPES);
        let (low, high) = (a.min(b), a.max(b));
        Pair {
            low: lock(&self.stripes[low as usize]),
            high: (low != high).then(|| lock(&self.stripes[high as usize])),
            low_at: low,
        }
    }

    /// Makes present entries parent and child. `Err` and no change if either has gone, or the
    /// child has a parent.
    pub(crate) fn link(&self, child: AnyEntry<'_>, parent: AnyEntry<'_>) -> Result<(), Error> {
        let (c, p) = (child.slot.index(), parent.slot.index());
        let mut pair = self.pair(c, p);
        // `KIN` on an entry without kin does no harm: it only makes its removal look here.
        if !child.mark_kin() || !parent.mark_kin() {
            return Err(Error::NotPresent);
        }
        if pair.of(c).get(&c).is_some_and(|kin| kin.parent.is_some()) {
            return Err(Error::HasParent);
        }
        pair.of(c).entry(c).or_default().parent = Some(p);
        pair.of(p).entry(p).or_default().children.insert(c);
        Ok(())
    }

    /// Makes a slot that is not present yet the child of a present entry and runs `publish`, which
    /// makes it present. `Err` and nothing run if the parent has gone.
    pub(crate) fn link_new<R>(
        &self,
        child: u32,
        parent: AnyEntry<'_>,
        publish: impl FnOnce() -> R,
    ) -> Result<R, Error> {
        let p = parent.slot.index();
        let mut pair = self.pair(child, p);
        if !parent.mark_kin() {
            return Err(Error::NotPresent);
        }
        pair.of(child).entry(child).or_default().parent = Some(p);
        pair.of(p).entry(p).or_default().children.insert(child);
        Ok(publish())
    }

    /// The reverse of `link`.
    pub(crate) fn unlink(&self, child: AnyEntry<'_>, parent: AnyEntry<'_>) -> Result<(), Error> {
        let (c, p) = (child.slot.index(), parent.slot.index());
        let mut pair = self.pair(c, p);
        if !child.is_present() || !parent.is_present() {
            return Err(Error::NotPresent);
        }
        if pair.of(c).get(&c).and_then(|kin| kin.parent) != Some(p) {
            return Err(Error::NotChild);
        }
        pair.unlink(c, p);
        Ok(())
    }

    /// Runs `remove`, which makes the entry not present if it is still there and says whether it
    /// did, unless the entry has children; then takes it from its parent's list.
    pub(crate) fn remove<R>(
        &self,
        entry: AnyEntry<'_>,
        remove: impl FnOnce() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let index = entry.slot.index();
        // The parent is known only under the entry's own lock, which may be the later one.
        let mut parent = self.one(index).get(&index).and_then(|kin| kin.parent);
        loop {
            let mut pair = self.pair(index, parent.unwrap_or(index));
            if !entry.is_present() {
                return Err(Error::NotPresent);
            }
            let kin = pair.of(index).get(&index);
            let now = kin.and_then(|kin| kin.parent);
            if now != parent {
                parent = now;
                continue;
            }
            if kin.is_some_and(|kin| !kin.children.is_empty()) {
                return Err(Error::HasChildren);
            }
            let removed = remove()?;
            if let Some(parent) = parent {
                pair.unlink(index, parent);
            }
            return Ok(removed);
        }
    }

    /// Whether the entry has children just now.
    pub(crate) fn has_children(&self, entry: AnyEntry<'_>) -> bool {
        let index = entry.slot.index();
        let stripe = self.one(index);
        entry.is_present()
            && stripe
                .get(&index)
                .is_some_and(|kin| !kin.children.is_empty())
    }

    /// The entry's children, with their generations, by index.
    pub(crate) fn children(&self, parent: AnyEntry<'_>) -> Result<Vec<(u32, u32)>, Error> {
        let index = parent.slot.index();
        let stripe = self.one(index);
        if !parent.is_present() {
            return Err(Error::NotPresent);
        }
        let Some(kin) = stripe.get(&index) else {
            return Ok(Vec::new());
        };
        // A child leaves only under its parent's stripe, so the generations are theirs.
        Ok(kin
            .children
            .iter()
            .filter_map(|&child| {
                let slot = parent.storage.slots.get(child)?;
                Some((child, SlotState(slot.state.load(Relaxed)).generation()))
            })
            .collect())
    }

    /// Everybody's children, for the end of the table.
    pub(crate) fn take_all(&self) -> HashMap<u32, BTreeSet<u32>> {
        self.stripes
            .iter()
            .flat_map(|stripe| std::mem::take(&mut *lock(stripe)))
            .map(|(index, kin)| (index, kin.children))
            .collect()
    }
}

impl AnyEntry<'_> {
    /// Whether the entry may have kin.
    #[inline]
    pub(crate) fn has_kin(&self) -> bool {
        SlotState(self.slot.state.load(Relaxed)).has(KIN)
    }

    /// Says that the entry may have kin; `false` if it has gone.
    fn mark_kin(&self) -> bool {
        let mut state = SlotState(self.slot.state.load(Relaxed));
        while state.is_present(self.generation) {
            if state.has(KIN) {
                return true;
            }
            // Relaxed: the stripe's lock orders what follows, and a removal that comes later is
            // a read-modify-write of the same word.
            match self.slot.state.compare_exchange_weak(
                state.0,
                state.with(KIN).0,
                Relaxed,
                Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = SlotState(now),
            }
        }
        false
    }
}
