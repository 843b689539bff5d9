//! Free slots, in several lists so that threads that push and delete do not meet.
//!
//! A thread starts at the list it used last. If that is locked, the thread tries the next one
//! instead of waiting. A list belongs to no thread: any slot may be on any list, any thread may use
//! any list, and there may be any number of threads.

mod list_hint;

use crate::mutants::mutant;
use crate::slot::{Directory, Slot};
use crate::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use crate::sync::{hint, thread};

/// Ends a list. (Slot `u32::MAX` is never made.)
const NIL: u32 = u32::MAX;

/// One list. Its fields are touched only under `locked`, so relaxed accesses are enough.
#[repr(align(128))]
struct FreeList {
    locked: AtomicBool,
    head: AtomicU32,
    /// Entries pushed by way of this list less entries reclaimed by way of it; the sum over all
    /// lists counts entries. Wraps.
    live: AtomicUsize,
}

/// A locked list. Nothing but a few loads and stores happens while it is held.
struct LockedList<'t>(&'t FreeList);

impl Drop for LockedList<'_> {
    #[inline]
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

impl FreeList {
    fn new() -> Self {
        Self {
            locked: AtomicBool::new(false),
            head: AtomicU32::new(NIL),
            live: AtomicUsize::new(0),
        }
    }

    #[inline]
    fn try_lock(&self) -> Option<LockedList<'_>> {
        // Acquire pairs with the release in `LockedList::drop`.
        let done = self
            .locked
            .compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed)
            .is_ok();
        mutant!(FreeListUnlocked: let done = true);
        done.then(|| LockedList(self))
    }

    fn lock(&self) -> LockedList<'_> {
        let mut rounds = 0;
        loop {
            if let Some(locked) = self.try_lock() {
                return locked;
            }
            back_off(&mut rounds);
        }
    }
}

/// Sections are a few instructions long: spin a little, then let the holder run.
fn back_off(rounds: &mut u32) {
    if cfg!(not(loom)) && *rounds < 64 {
        hint::spin_loop();
    } else {
        thread::yield_now();
    }
    *rounds += 1;
}

impl LockedList<'_> {
    #[inline]
    fn pop<'t>(&self, slots: &'t Directory) -> Option<&'t Slot> {
        let head = self.0.head.load(Ordering::Relaxed);
        if head == NIL {
            return None;
        }
        let slot = slots.get(head).expect("its bucket was made for a push");
        self.0
            .head
            .store(slot.link.load(Ordering::Relaxed), Ordering::Relaxed);
        Some(slot)
    }

    #[inline]
    fn push(&self, slot: &Slot) {
        slot.link
            .store(self.0.head.load(Ordering::Relaxed), Ordering::Relaxed);
        self.0.head.store(slot.index(), Ordering::Relaxed);
    }

    #[inline]
    fn count(&self, change: usize) {
        let live = self.0.live.load(Ordering::Relaxed);
        self.0
            .live
            .store(live.wrapping_add(change), Ordering::Relaxed);
    }
}

/// All lists of one table.
pub(crate) struct FreeSlots {
    lists: Box<[FreeList]>,
    /// Slots taken into use so far: the next new slot's index.
    used: AtomicU32,
    /// Of those, how many have no generation left.
    retired: AtomicU32,
    /// How many slots may be in use. Not retroactive.
    max: AtomicUsize,
}

impl FreeSlots {
    /// `lists` is rounded up to a power of two.
    pub(crate) fn new(lists: usize, max: usize) -> Self {
        let count = lists.next_power_of_two();
        Self {
            lists: (0..count).map(|_| FreeList::new()).collect(),
            used: AtomicU32::new(0),
            retired: AtomicU32::new(0),
            max: AtomicUsize::new(max),
        }
    }

    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// How many slots have been in use.
    pub(crate) fn used(&self) -> u32 {
        self.used.load(Ordering::Relaxed)
    }

    /// Entries, if nothing changes meanwhile.
    pub(crate) fn live(&self) -> usize {
        self.lists.iter().fold(0usize, |sum, list| {
            sum.wrapping_add(list.live.load(Ordering::Relaxed))
        })
    }

    /// Locks a list that no other thread has locked, if possible the one this thread used last.
    #[inline]
    fn any(&self) -> (usize, LockedList<'_>) {
        let mask = self.lists.len() - 1;
        let start = list_hint::get();
        if let Some(locked) = self.lists[start & mask].try_lock() {
            return (start & mask, locked);
        }
        self.any_other(start)
    }

    #[cold]
    fn any_other(&self, start: usize) -> (usize, LockedList<'_>) {
        let mask = self.lists.len() - 1;
        let mut rounds = 0;
        loop {
            for step in 1..=self.lists.len() {
                let at = (start + step) & mask;
                if let Some(locked) = self.lists[at].try_lock() {
                    list_hint::set(at);
                    return (at, locked);
                }
            }
            back_off(&mut rounds);
        }
    }

    /// A slot for a new entry, counted as live; `None` if every slot that may be is in use.
    #[inline(never)]
    pub(crate) fn checkout<'t>(&self, slots: &'t Directory) -> Option<&'t Slot> {
        let (at, list) = self.any();
        let slot = list.pop(slots);
        if slot.is_some() {
            list.count(1);
            return slot;
        }
        self.checkout_elsewhere(slots, at, list)
    }

    #[cold]
    fn checkout_elsewhere<'t>(
        &self,
        slots: &'t Directory,
        at: usize,
        list: LockedList<'_>,
    ) -> Option<&'t Slot> {
        let mask = self.lists.len() - 1;
        for step in 1..self.lists.len() {
            let other = &self.lists[(at + step) & mask];
            if other.head.load(Ordering::Relaxed) == NIL {
                continue;
            }
            if let Some(other) = other.try_lock() {
                // Takes the whole list. Otherwise a thread that deletes what another pushes would
                // lose its slots one at a time.
                let head = other.0.head.load(Ordering::Relaxed);
                other.0.head.store(NIL, Ordering::Relaxed);
                drop(other);
                list.0.head.store(head, Ordering::Relaxed);
                if let Some(slot) = list.pop(slots) {
                    list.count(1);
                    return Some(slot);
                }
            }
        }
        let Some(index) = self.fresh() else {
            drop(list);
            mutant!(FullAtFirstSight: return None);
            return self.checkout_or_full(slots);
        };
        list.count(1);
        drop(list);
        // Unlocked: this may allocate.
        Some(slots.grow(index))
    }

    /// The index of a slot that was never in use.
    fn fresh(&self) -> Option<u32> {
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let counted = used.wrapping_sub(self.retired.load(Ordering::Relaxed));
            if used == NIL || counted as usize >= self.max() {
                return None;
            }
            match self.used.compare_exchange_weak(
                used,
                used + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(used),
                Err(now) => used = now,
            }
        }
    }

    /// Holds all lists, so that "full" is true of one moment.
    #[cold]
    fn checkout_or_full<'t>(&self, slots: &'t Directory) -> Option<&'t Slot> {
        // In ascending order, and `checkout_elsewhere` only tries while it holds one.
        let all: Vec<_> = self.lists.iter().map(FreeList::lock).collect();
        let free = all.iter().find_map(|list| Some((list, list.pop(slots)?)));
        if let Some((list, slot)) = free {
            list.count(1);
            return Some(slot);
        }
        let index = self.fresh()?;
        all[0].count(1);
        drop(all);
        Some(slots.grow(index))
    }

    /// Takes back the slot of an entry that was reclaimed.
    #[inline]
    pub(crate) fn give_back(&self, slot: &Slot) {
        let (_, list) = self.any();
        list.push(slot);
        list.count(usize::MAX);
    }

    /// Writes off the slot of an entry that was reclaimed: it has no generation left.
    #[cold]
    pub(crate) fn retire(&self) {
        self.any().1.count(usize::MAX);
        self.retired.fetch_add(1, Ordering::Relaxed);
    }
}
