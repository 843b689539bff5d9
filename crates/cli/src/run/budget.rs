//! `--max-total-memory`: one budget for all memory that the program makes the host keep.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A budget: how many bytes are left.
#[derive(Debug)]
pub(crate) struct Budget(AtomicU64);

impl Budget {
    pub(crate) fn of(bytes: u64) -> Arc<Self> {
        Arc::new(Budget(AtomicU64::new(bytes)))
    }

    fn take_bytes(&self, bytes: u64) -> bool {
        let taken = self
            .0
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(bytes)
            });
        taken.is_ok()
    }

    fn put_back(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl wasi_threads::MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        self.take_bytes(bytes)
    }

    fn give_back(&self, bytes: u64) {
        self.put_back(bytes);
    }

    fn left(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl p1_adapter::MemoryBudget for Budget {
    fn take(&self, bytes: u64) -> bool {
        self.take_bytes(bytes)
    }

    fn give_back(&self, bytes: u64) {
        self.put_back(bytes);
    }
}
