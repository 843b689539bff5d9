//! What a run does to memory, as its module tells of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use replay_threads::ThreadId;
use replay_threads::conflict::{Access, History, Orders};
use replay_threads::keyed::Decision;
use wasi_threads::rewrite::{AccessOp, Points, Recorded};
use wasi_threads::schedule::{AccessObserver, GuestAccess};

use crate::report::backtraces::Backtraces;
use crate::report::interleaving::{self, Seen};

/// How many accesses are kept.
const KEPT: usize = 1 << 14;
/// Lines of an interleaving, unless the option says how many.
pub(crate) const LINES: usize = 20;

/// Keeps the last accesses of a run, or the order of all of them.
pub(crate) struct Accesses(Mutex<Keeps>);

enum Keeps {
    History(History<Seen>),
    Orders(Orders),
}

impl Accesses {
    /// For what [`around`](Self::around) says.
    pub(crate) fn history() -> Self {
        Self(Mutex::new(Keeps::History(History::new(KEPT))))
    }

    /// For what [`order`](Self::order) says.
    pub(crate) fn orders() -> Self {
        Self(Mutex::new(Keeps::Orders(Orders::default())))
    }

    /// Which accesses a module tells of: those at which the turn may move. Plain accesses between
    /// two atomics are ordered by the atomics, and a program has many of them (an allocator's, for
    /// instance).
    pub(crate) fn told_at(points: Points) -> Recorded {
        match points {
            Points::Atomics => Recorded::Atomics,
            _ => Recorded::Accesses,
        }
    }

    /// The program's conflicting accesses at the end, and those around the last of the
    /// decisions, as lines of text.
    pub(crate) fn around(
        &self,
        decisions: &[Decision],
        most: usize,
        backtraces: &Backtraces,
    ) -> Vec<String> {
        let last = decisions.last();
        let last = last.map(|last| (ThreadId::new(last.thread), last.point));
        match &*self.kept() {
            Keeps::History(history) => interleaving::text(history, last, most, backtraces),
            Keeps::Orders(_) => Vec::new(),
        }
    }

    /// The order of all of them, as a number.
    pub(crate) fn order(&self) -> u64 {
        match &*self.kept() {
            Keeps::History(_) => 0,
            Keeps::Orders(orders) => orders.sum(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Keeps> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AccessObserver for Accesses {
    fn access(&self, told: &GuestAccess<'_>) {
        // No other thread sees a memory of the thread's own.
        let Some(memory) = told.memory else {
            return;
        };
        let op = told.instruction.op;
        let access = Access {
            thread: ThreadId::new(told.thread.get()),
            point: told.point,
            memory: memory.try_into().unwrap_or(u32::MAX),
            address: told.address,
            length: told.length,
            // It matters which of a wait and a notify came first.
            writes: op.writes() || matches!(op, AccessOp::Wait | AccessOp::Notify),
        };
        match &mut *self.kept() {
            Keeps::Orders(orders) => orders.add(&access),
            Keeps::History(history) => {
                let backtrace = match history.conflicts(&access) {
                    true => told.backtrace(),
                    false => None,
                };
                let seen = Seen {
                    site: told.site,
                    instruction: *told.instruction,
                    backtrace,
                };
                history.add(access, seen);
            }
        }
    }
}
