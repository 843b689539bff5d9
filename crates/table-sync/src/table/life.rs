//! A table's beginning and its end.

use super::Table;
use crate::free_slots::FreeSlots;
use crate::kinship::Kinship;
use crate::lock::cell;
use crate::slot::Directory;
use crate::storage::Storage;
use crate::sync::asymmetric;
use crate::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::collections::HashSet;
use std::sync::OnceLock;

/// What [`Table::max_capacity`] starts as; `ResourceTable` has the same.
const DEFAULT_MAX_CAPACITY: usize = 1_000_000;

impl Table {
    /// An empty table. Allocates its free lists, no slots.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// An empty table with room for `capacity` entries at once before it allocates slots again.
    /// (Each value is allocated when it is pushed.)
    pub fn with_capacity(capacity: usize) -> Self {
        Self::worn_out_after(capacity, u32::MAX)
    }

    /// For tests: slots that wear out early.
    #[cfg(feature = "test-hooks")]
    #[doc(hidden)]
    pub fn with_max_generation(capacity: usize, max_generation: u32) -> Self {
        Self::worn_out_after(capacity, max_generation)
    }

    /// With slots that are retired after so many generations.
    fn worn_out_after(capacity: usize, max_generation: u32) -> Self {
        asymmetric::init();
        let table = Self {
            storage: Storage {
                slots: Directory::new(next_table_number()),
                free_slots: FreeSlots::new(list_count(), DEFAULT_MAX_CAPACITY),
                kinship: Kinship::new(),
                detached: AtomicUsize::new(0),
                max_generation: max_generation.max(1),
            },
        };
        // Loom does not see what orders the making of a bucket, so there it happens here.
        let capacity = if cfg!(loom) { 6 } else { capacity };
        let last = u32::try_from(capacity).unwrap_or(u32::MAX).checked_sub(1);
        if let Some(mut last) = last {
            // Every bucket from the last back to the first.
            loop {
                last = table.storage.slots.grow_bucket_of(last);
                match last.checked_sub(1) {
                    Some(before) => last = before,
                    None => break,
                }
            }
        }
        table
    }
}

fn list_count() -> usize {
    if cfg!(loom) {
        return 2;
    }
    // Each question to the system reads some files.
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors =
        PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(4, |n| n.get()));
    (2 * processors).clamp(4, 128)
}

/// Numbers tables, so that no two have slots of the same id. 0, which has readers counted instead
/// of published, once the numbers have run out.
fn next_table_number() -> u32 {
    use std::sync::atomic::AtomicU64;
    static NEXT: AtomicU64 = AtomicU64::new(1);
    u32::try_from(NEXT.fetch_add(1, Relaxed)).unwrap_or(0)
}

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Table {
    /// Children before their parents, otherwise by index. (A circle is entered at its lowest
    /// index.)
    fn drop(&mut self) {
        let mut kin = self.storage.kinship.take_all();
        if kin.is_empty() {
            // Then the order of the slots is right.
            return;
        }
        let mut entered = HashSet::new();
        for index in 0..self.storage.free_slots.used() {
            let mut path = vec![index];
            while let Some(&index) = path.last() {
                if entered.insert(index) {
                    let children = kin.remove(&index).unwrap_or_default();
                    let unseen = children.iter().rev().filter(|it| !entered.contains(it));
                    path.extend(unseen);
                } else {
                    path.pop();
                    if let Some(slot) = self.storage.slots.get_mut(index) {
                        drop(cell::empty(slot));
                    }
                }
            }
        }
    }
}
