//! Slots, and the directory that finds them by index.
//!
//! A slot never moves and is never freed before its table: a thread that has an index may look at
//! the slot's word, whatever has become of the entry.

use crate::state::Mode;
use crate::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};
use crate::sync::{Mutex, UnsafeCell};
use crate::wait_line::WaitLine;
use std::any::{Any, TypeId};
use std::ptr;
use std::sync::OnceLock;

/// The waiters for the lock of an entry. Tickets are not even reused by a slot's later entries.
pub(crate) type Queue = WaitLine<Mode>;

/// A place for one entry at a time, on a cache line of its own.
#[repr(align(64))]
pub(crate) struct Slot {
    /// See [`crate::state`].
    pub(crate) state: AtomicU64,
    /// The name readers publish: the table's number above the slot's index, never 0.
    pub(crate) id: u64,
    /// On a free list, the next slot's index; touched under that list's lock.
    pub(crate) link: AtomicU32,
    /// How often the entry was read lately; see [`crate::lock`]. Not exact.
    pub(crate) bias_count: AtomicU32,
    pub(crate) cell: ValueCell,
    /// The waiters for the entry.
    pub(crate) queue: Mutex<Option<Box<Queue>>>,
}

impl Slot {
    fn new(table: u32, index: usize) -> Self {
        Self {
            state: AtomicU64::new(0),
            id: u64::from(table) << 32 | index as u64,
            link: AtomicU32::new(0),
            bias_count: AtomicU32::new(0),
            cell: ValueCell::new(),
            queue: Mutex::new(None),
        }
    }

    pub(crate) fn index(&self) -> u32 {
        self.id as u32
    }
}

/// Where a slot keeps its entry's value, and the value's type. The ways in are in
/// [`crate::lock::cell`].
pub(crate) struct ValueCell {
    /// Null, or from a `&'static Kind`.
    kind: AtomicPtr<Kind>,
    pub(crate) value: UnsafeCell<Option<Box<dyn Any + Send>>>,
}

impl ValueCell {
    fn new() -> Self {
        Self {
            kind: AtomicPtr::new(ptr::null_mut()),
            value: UnsafeCell::new(None),
        }
    }

    /// What was set last; null before.
    #[inline]
    pub(crate) fn kind(&self) -> *const Kind {
        // Acquire pairs with the store in `cell::put`.
        self.kind.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn set_kind(&self, kind: &'static Kind, order: Ordering) {
        self.kind.store(ptr::from_ref(kind).cast_mut(), order);
    }
}

/// What is known of an entry without holding it.
#[derive(PartialEq)]
pub(crate) struct Kind {
    type_id: TypeId,
}

impl Kind {
    pub(crate) const fn of<T: 'static>() -> &'static Self {
        const {
            &Self {
                type_id: TypeId::of::<T>(),
            }
        }
    }
}

/// log2 of the first bucket's length.
#[cfg(not(loom))]
const FIRST_BITS: u32 = 5;
#[cfg(loom)]
const FIRST_BITS: u32 = 1;

const FIRST: usize = 1 << FIRST_BITS;
const BUCKETS: usize = (32 - FIRST_BITS) as usize + 1;

/// Slots by index: buckets, each twice as long as the one before, made when first needed.
pub(crate) struct Directory {
    /// This table's number, for the slots' ids; 0 if numbers have run out.
    table: u32,
    buckets: [OnceLock<Box<[Slot]>>; BUCKETS],
}

impl Directory {
    pub(crate) fn new(table: u32) -> Self {
        Self {
            table,
            buckets: std::array::from_fn(|_| OnceLock::new()),
        }
    }

    #[inline]
    fn locate(index: u32) -> (usize, usize) {
        // Any index a handle can have, so more than a 32-bit `usize` may hold.
        let place = u64::from(index) + FIRST as u64;
        let log = place.ilog2();
        ((log - FIRST_BITS) as usize, (place - (1 << log)) as usize)
    }

    /// The slot, if its bucket was ever needed.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&Slot> {
        let (bucket, offset) = Self::locate(index);
        self.buckets[bucket].get()?.get(offset)
    }

    /// The slot, its bucket made if need be. Blocks only on another thread that is making the same
    /// bucket.
    pub(crate) fn grow(&self, index: u32) -> &Slot {
        let (bucket, offset) = Self::locate(index);
        let slots = self.buckets[bucket].get_or_init(|| {
            let len = FIRST << bucket;
            let start = len - FIRST;
            (start..start + len)
                .map(|index| Slot::new(self.table, index))
                .collect()
        });
        &slots[offset]
    }

    /// Makes the bucket of a slot; returns the bucket's first index.
    pub(crate) fn grow_bucket_of(&self, index: u32) -> u32 {
        let (_, offset) = Self::locate(index);
        self.grow(index);
        index - offset as u32
    }

    /// The slot, while no other thread uses the table.
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        let (bucket, offset) = Self::locate(index);
        self.buckets[bucket].get_mut()?.get_mut(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fill_the_buckets_without_gap() {
        let mut expected = (0, 0);
        for index in 0..100_000 {
            assert_eq!(Directory::locate(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        // Whatever number a handle is made of, also where `usize` has 32 bits.
        let (last, offset) = Directory::locate(u32::MAX);
        assert_eq!((last, offset), (BUCKETS - 1, FIRST - 1));
        assert!(Directory::new(1).get(u32::MAX).is_none());
    }

    #[test]
    fn a_slot_knows_its_index() {
        let directory = Directory::new(7);
        for index in [0, 1, 31, 32, 33, 95, 96, 1000] {
            assert_eq!(directory.grow(index).index(), index);
            assert_eq!(directory.grow(index).id >> 32, 7);
        }
        assert!(directory.get(1_000_000).is_none());
    }

    #[test]
    #[cfg(not(loom))]
    fn a_slot_is_one_cache_line() {
        // Where pointers are shorter, so is it.
        if size_of::<usize>() == 8 {
            assert_eq!(size_of::<Slot>(), 64);
        }
    }
}
