//! What a table is made of, below the lock of an entry.

use crate::free_slots::FreeSlots;
use crate::kinship::Kinship;
use crate::slot::Directory;
use crate::sync::atomic::AtomicUsize;

/// The parts of a table that permits refer to.
pub(crate) struct Storage {
    pub(crate) slots: Directory,
    pub(crate) free_slots: FreeSlots,
    pub(crate) kinship: Kinship,
    /// Entries detached and still held: live for the free lists, not for the user.
    pub(crate) detached: AtomicUsize,
    /// The last generation of a slot.
    pub(crate) max_generation: u32,
}
