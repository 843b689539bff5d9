//! A budget of memory that a group shares with others, and what the group and its stores have taken
//! of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{MemoryType, MemoryTypeBuilder, SharedMemory};

/// How much memory several users may have together, for instance the groups and the WASI contexts
/// of one host.
///
/// Asked before something is made or grows, on the thread that makes or grows it. `take` runs under
/// a lock of the group, which every `take` of the group needs and no `give_back`. So all methods
/// must be quick, must not wait for a `take` of another thread, and must not panic.
pub trait MemoryBudget: Send + Sync {
    /// Takes `bytes` out of the budget. If fewer are left, takes nothing and returns false.
    fn take(&self, bytes: u64) -> bool;

    /// Gives back `bytes` that were taken.
    fn give_back(&self, bytes: u64);

    /// How many bytes are left at this moment.
    fn left(&self) -> u64;
}

/// The budget of one group, and what its shared memories have taken of it.
///
/// Wasmtime does not ask the host when a shared memory grows. So its growth is taken from the
/// budget with the next request of anything else, and its maximum is what the budget had left when
/// it was made.
pub(crate) struct GroupBudget {
    budget: Arc<dyn MemoryBudget>,
    shared: Mutex<Vec<(SharedMemory, u64)>>,
}

impl GroupBudget {
    pub(crate) fn new(budget: Arc<dyn MemoryBudget>) -> Arc<Self> {
        Arc::new(Self {
            budget,
            shared: Mutex::default(),
        })
    }

    /// Takes `bytes`, and first what the shared memories have grown by.
    fn take(&self, bytes: u64) -> bool {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        for (memory, taken) in shared.iter_mut() {
            let size = memory.data_size() as u64;
            if size > *taken {
                if !self.budget.take(size - *taken) {
                    return false;
                }
                *taken = size;
            }
        }
        drop(shared);
        self.budget.take(bytes)
    }

    /// `ty` with a maximum that the budget still has; `None` if not even its minimum is left.
    pub(crate) fn fitted(&self, ty: &MemoryType) -> Option<MemoryType> {
        let least = ty.minimum().checked_mul(ty.page_size())?;
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let may_grow_by = |(memory, taken): &(SharedMemory, u64)| {
            let ty = memory.ty();
            let most = ty.maximum().unwrap_or(0).saturating_mul(ty.page_size());
            most.saturating_sub(*taken)
        };
        // What the other shared memories may still grow by is not left for this one.
        let others: u64 = shared.iter().map(may_grow_by).sum();
        drop(shared);
        let left = self.budget.left().saturating_sub(others);
        let maximum = ty.maximum()?.min(left / ty.page_size());
        if least > left {
            return None;
        }
        let mut fitted = MemoryTypeBuilder::new();
        fitted
            .shared(true)
            .memory64(ty.is_64())
            .page_size_log2(ty.page_size_log2())
            .min(ty.minimum())
            .max(Some(maximum.max(ty.minimum())));
        fitted.build().ok()
    }

    /// Counts `memory` from now on; false if the budget has less left than its size.
    pub(crate) fn count(&self, memory: &SharedMemory) -> bool {
        let size = memory.data_size() as u64;
        let taken = self.take(size);
        if taken {
            let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.push((memory.clone(), size));
        }
        taken
    }
}

impl fmt::Debug for GroupBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBudget")
            .field("left", &self.budget.left())
            .finish_non_exhaustive()
    }
}

impl Drop for GroupBudget {
    fn drop(&mut self) {
        let shared = self
            .shared
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let taken = shared.iter().map(|(_, taken)| taken).sum();
        self.budget.give_back(taken);
    }
}

/// What one store has taken, until it is dropped.
pub(crate) struct Tally {
    budget: Arc<GroupBudget>,
    taken: AtomicU64,
    /// The part of it for the growth that was allowed last, which may still fail.
    last: AtomicU64,
}

impl Tally {
    /// A tally that has taken `bytes`; `None` if fewer are left.
    pub(crate) fn new(budget: &Arc<GroupBudget>, bytes: u64) -> Option<Arc<Self>> {
        budget.take(bytes).then(|| {
            Arc::new(Self {
                budget: Arc::clone(budget),
                taken: AtomicU64::new(bytes),
                last: AtomicU64::new(0),
            })
        })
    }

    /// A new request: the growth that was allowed before has happened.
    pub(crate) fn begin(&self) {
        self.last.store(0, Ordering::Relaxed);
    }

    /// Takes the bytes by which something grows. A store is used by one thread at a time.
    pub(crate) fn grow(&self, current: u64, desired: u64) -> bool {
        let bytes = desired.saturating_sub(current);
        let taken = self.budget.take(bytes);
        if taken {
            self.taken.fetch_add(bytes, Ordering::Relaxed);
            self.last.store(bytes, Ordering::Relaxed);
        }
        taken
    }

    /// Gives back what the last growth took: it did not happen.
    pub(crate) fn failed(&self) {
        let bytes = self.last.swap(0, Ordering::Relaxed);
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.budget.give_back(bytes);
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.budget.budget.give_back(*self.taken.get_mut());
    }
}
