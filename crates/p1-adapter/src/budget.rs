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

/// Takes what is counted in pieces of this size, and gives the rest back.
const PIECE: u64 = 16 << 10;

/// Bytes of something that grows while it is made.
pub(crate) struct Counting<'a> {
    budget: Option<&'a Arc<dyn MemoryBudget>>,
    counted: u64,
    taken: u64,
}

impl<'a> Counting<'a> {
    /// Nothing yet; without a budget there is always enough.
    pub(crate) fn of(budget: Option<&'a Arc<dyn MemoryBudget>>) -> Self {
        Self {
            budget,
            counted: 0,
            taken: 0,
        }
    }

    /// Counts `bytes` more; false if there are not so many left.
    pub(crate) fn add(&mut self, bytes: usize) -> bool {
        let Some(budget) = self.budget else {
            return true;
        };
        self.counted += bytes as u64;
        if self.counted > self.taken {
            let more = (self.counted - self.taken).max(PIECE);
            if !budget.take(more) {
                return false;
            }
            self.taken += more;
        }
        true
    }

    /// What was counted stays taken until what this returns is dropped.
    pub(crate) fn done(mut self) -> Option<TakenBytes> {
        let budget = self.budget?;
        budget.give_back(self.taken - self.counted);
        let bytes = std::mem::take(&mut self.counted);
        self.taken = 0;
        Some(TakenBytes {
            budget: Arc::clone(budget),
            bytes,
        })
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if let Some(budget) = self.budget
            && self.taken > 0
        {
            budget.give_back(self.taken);
        }
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
