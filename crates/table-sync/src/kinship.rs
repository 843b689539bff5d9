//! Who is whose parent, by slot index, in stripes with a lock each.
//!
//! Data only: what it means for the entries, and when they may come and go, is in
//! [`crate::children`].

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

impl Kinship {
    pub(crate) fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(HashMap::new())).collect(),
        }
    }

    /// Locks the stripe of one index.
    pub(crate) fn lock_one(&self, index: u32) -> LockedKin<'_> {
        self.lock_two(index, index)
    }

    /// Locks the stripes of two indices. The only place where two locks of a kind are taken:
    /// ascending.
    pub(crate) fn lock_two(&self, a: u32, b: u32) -> LockedKin<'_> {
        let (a, b) = (a % STRIPES, b % STRIPES);
        let (low, high) = (a.min(b), a.max(b));
        LockedKin {
            low: lock(&self.stripes[low as usize]),
            high: (low != high).then(|| lock(&self.stripes[high as usize])),
            low_at: low,
        }
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

/// The stripes of two indices, locked; one lock if they share it. Answers for those two only.
pub(crate) struct LockedKin<'k> {
    low: MutexGuard<'k, Stripe>,
    high: Option<MutexGuard<'k, Stripe>>,
    low_at: u32,
}

impl LockedKin<'_> {
    pub(crate) fn parent_of(&self, index: u32) -> Option<u32> {
        self.kin(index)?.parent
    }

    /// By index.
    pub(crate) fn children_of(&self, index: u32) -> impl Iterator<Item = u32> {
        self.kin(index)
            .into_iter()
            .flat_map(|kin| kin.children.iter().copied())
    }

    pub(crate) fn has_children(&self, index: u32) -> bool {
        self.children_of(index).next().is_some()
    }

    pub(crate) fn link(&mut self, child: u32, parent: u32) {
        self.stripe(child).entry(child).or_default().parent = Some(parent);
        let parent = self.stripe(parent).entry(parent).or_default();
        parent.children.insert(child);
    }

    pub(crate) fn unlink(&mut self, child: u32, parent: u32) {
        if let Some(kin) = self.stripe(child).get_mut(&child) {
            kin.parent = None;
        }
        if let Some(kin) = self.stripe(parent).get_mut(&parent) {
            kin.children.remove(&child);
        }
        self.forget_if_alone(child);
        self.forget_if_alone(parent);
    }

    fn forget_if_alone(&mut self, index: u32) {
        if self.parent_of(index).is_none() && !self.has_children(index) {
            self.stripe(index).remove(&index);
        }
    }

    fn kin(&self, index: u32) -> Option<&Kin> {
        match &self.high {
            Some(high) if index % STRIPES != self.low_at => high.get(&index),
            _ => self.low.get(&index),
        }
    }

    fn stripe(&mut self, index: u32) -> &mut Stripe {
        match &mut self.high {
            Some(high) if index % STRIPES != self.low_at => high,
            _ => &mut self.low,
        }
    }
}
