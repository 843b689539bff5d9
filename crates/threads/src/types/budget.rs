//! A budget of memory that a group shares with others, and what the group and its stores have taken of it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{MemoryType, MemoryTypeBuilder, SharedMemory};

/// How much memory several things may have together: the groups and the WASI contexts of one host, say.
///
/// Asked before something is made or grows, by whichever thread it is. `take` runs under a lock of
/// the group, which other threads of the group want for their `take`, and none for `give_back`. So
/// all methods must be quick, must not wait for a `take` of another thread, and must not panic.
pub trait MemoryBudget: Send + Sync {
    /// Takes `bytes` out of the budget; false, and nothing is taken, if there are not so many left.
    fn take(&self, bytes: u64) -> bool;

    /// Gives `bytes` back that were taken.
    fn give_back(&self, bytes: u64);

    /// How many bytes are left at this moment.
    fn left(&self) -> u64;
}

/// The budget of one group, and what its shared memories have taken of it.
///
/// Wasmtime does not ask the host when a shared memory grows. So what it has grown by is taken
/// whenever something else asks, and its maximum is what the budget had left when it was made.
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

    /// Takes `bytes`, after what the shared memories have grown by.
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

    /// A type like `ty` that grows to what is left at most; `None` if not even its minimum is left.
    pub(crate) fn fitted(&self, ty: &MemoryType) -> Option<MemoryType> {
        let least = ty.minimum().checked_mul(ty.page_size())?;
        let shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let may_grow_by = |(memory, taken): &(SharedMemory, u64)| {
            let ty = memory.ty();
            let most = ty.maximum().unwrap_or(0).saturating_mul(ty.page_size());
            most.saturating_sub(*taken)
        };
        // Of several none may grow to what another may.
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

    /// Counts `memory` from now on; false if there is not so much left as it has.
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
    /// Of it, for the growth that was allowed last, which may yet fail.
    last: AtomicU64,
}

impl Tally {
    /// With `bytes` taken; `None` if there are not so many left.
    pub(crate) fn new(budget: &Arc<GroupBudget>, bytes: u64) -> Option<Arc<Self>> {
        budget.take(bytes).then(|| {
            Arc::new(Self {
                budget: Arc::clone(budget),
                taken: AtomicU64::new(bytes),
                last: AtomicU64::new(0),
            })
        })
    }

    /// A new question: what was allowed before has happened.
    pub(crate) fn begin(&self) {
        self.last.store(0, Ordering::Relaxed);
    }

    /// Takes what something is to grow by. A store is used by one thread at a time.
    pub(crate) fn grow(&self, current: u64, desired: u64) -> bool {
        let bytes = desired.saturating_sub(current);
        let taken = self.budget.take(bytes);
        if taken {
            self.taken.fetch_add(bytes, Ordering::Relaxed);
            self.last.store(bytes, Ordering::Relaxed);
        }
        taken
    }

    /// What was allowed last did not happen.
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
