//! Thread ids: 1 to 2^29 - 1, reused.

use std::collections::VecDeque;
use std::fmt;

use crate::types::abi::MAX_TID;

/// Id of a thread of a group.
///
/// The thread that runs the group's export is [`ThreadId::MAIN`] (0); a thread the guest starts
/// has an id from 1 to 2^29 - 1, the range of the wasi-threads proposal. An id is given again
/// after its thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(u32);

impl ThreadId {
    /// The thread that runs the export given to [`ThreadGroup::run`](crate::ThreadGroup::run).
    pub const MAIN: ThreadId = ThreadId(0);

    /// The id as the guest sees it; 0 for the main thread.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The thread registered in the parking lot under `number`.
    pub(crate) fn of_lot(number: u32) -> Self {
        Self(number)
    }

    /// The id as `thread-spawn` returns it.
    pub(crate) fn as_i32(self) -> i32 {
        // At most 2^29 - 1, so always positive.
        self.0 as i32
    }
}

impl fmt::Display for ThreadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("main"),
            id => write!(f, "{id}"),
        }
    }
}

/// Allocates thread ids.
///
/// An id given back goes to the end of a queue, so it is reused as late as possible. A stale id (of
/// a lock's owner, say) is then less often mistaken for a new thread's. The queue is no longer than
/// the largest number of threads that were alive at once.
#[derive(Debug, Default)]
pub(crate) struct Tids {
    /// Highest id given so far.
    highest: u32,
    /// Ids given back.
    free: VecDeque<u32>,
}

impl Tids {
    /// Takes an id, or `None` when all are in use.
    pub(crate) fn take(&mut self) -> Option<ThreadId> {
        if let Some(id) = self.free.pop_front() {
            return Some(ThreadId(id));
        }
        if self.highest == MAX_TID {
            return None;
        }
        self.highest += 1;
        Some(ThreadId(self.highest))
    }

    /// Gives an id back. The id was taken from this allocator and is given back once.
    pub(crate) fn give_back(&mut self, id: ThreadId) {
        debug_assert!(id != ThreadId::MAIN && id.0 <= self.highest);
        self.free.push_back(id.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_one_and_reuses_oldest_first() {
        let mut tids = Tids::default();
        let ids: Vec<_> = (0..3).map(|_| tids.take().unwrap()).collect();
        assert_eq!(ids.iter().map(|id| id.get()).collect::<Vec<_>>(), [1, 2, 3]);
        tids.give_back(ids[1]);
        tids.give_back(ids[0]);
        assert_eq!(tids.take().unwrap().get(), 2);
        assert_eq!(tids.take().unwrap().get(), 1);
        assert_eq!(tids.take().unwrap().get(), 4);
    }

    #[test]
    fn ends_at_the_proposals_highest_id() {
        let mut tids = Tids {
            highest: MAX_TID - 1,
            free: VecDeque::new(),
        };
        assert_eq!(tids.take().unwrap().get(), 0x1fff_ffff);
        assert!(tids.take().is_none());
        tids.give_back(ThreadId(7));
        assert_eq!(tids.take().unwrap().get(), 7);
        assert!(tids.take().is_none());
    }
}
