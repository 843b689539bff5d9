//! Parents and children, by slot index, in stripes with a lock each.
//!
//! This is data only. What it means for entries, and when they may come and go, is in
//! [`crate::children`].

use crate::sync::{Mutex, MutexGuard, lock};
use std::collections::{BTreeSet, HashMap};

#[cfg(not(loom))]
const STRIPES: u32 = 32;
#[cfg(loom)]
const STRIPES: u32 = 2;

/// The kin of one entry, by slot index. Indices are enough: an entry leaves its parent's list
/// before its slot can be reused, and it cannot go before its children.
#[derive(Default)]
pub(crate) struct Kin {
    pub(crate) parent: Option<u32>,
    pub(crate) children: BTreeSet<u32>,
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
        let low_at = index % STRIPES;
        LockedKin {
            low: lock(&self.stripes[low_at as usize]),
            high: None,
            low_at,
        }
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

    /// The children of all entries, for the end of the table.
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
    /// `None` if there is neither a parent nor a child.
    pub(crate) fn of(&self, index: u32) -> Option<&Kin> {
        match &self.high {
            Some(high) if index % STRIPES != self.low_at => high.get(&index),
            _ => self.low.get(&index),
        }
    }

    pub(crate) fn parent_of(&self, index: u32) -> Option<u32> {
        self.of(index)?.parent
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
        let is_alone = |kin: &Kin| kin.parent.is_none() && kin.children.is_empty();
        if self.of(index).is_some_and(is_alone) {
            self.stripe(index).remove(&index);
        }
    }

    fn stripe(&mut self, index: u32) -> &mut Stripe {
        match &mut self.high {
            Some(high) if index % STRIPES != self.low_at => high,
            _ => &mut self.low,
        }
    }
}
