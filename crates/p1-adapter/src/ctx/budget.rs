//! A budget of memory that a context shares with others.

use std::fmt;
use std::sync::Arc;

/// How much memory several things may have together: the WASI contexts of one host, say, and its
/// groups of threads.
///
/// Asked by the thread that makes a call, which holds no lock. Both methods must be quick and must
/// not panic.
pub trait MemoryBudget: Send + Sync {
    /// Takes `bytes` out of the budget; false, and nothing is taken, if there are not so many left.
    fn take(&self, bytes: u64) -> bool;

    /// Gives `bytes` back that were taken.
    fn give_back(&self, bytes: u64);
}

/// Bytes that were taken, until this is dropped.
pub(crate) struct TakenBytes {
    budget: Arc<dyn MemoryBudget>,
    bytes: u64,
}

impl TakenBytes {
    /// Takes them; `None` if there are not so many left.
    pub(crate) fn of(budget: &Arc<dyn MemoryBudget>, bytes: u64) -> Option<Self> {
        budget.take(bytes).then(|| Self {
            budget: Arc::clone(budget),
            bytes,
        })
    }
}

impl Drop for TakenBytes {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes);
    }
}

impl fmt::Debug for TakenBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TakenBytes").field(&self.bytes).finish()
    }
}
