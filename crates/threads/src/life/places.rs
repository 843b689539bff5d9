//! The places of a group: how many threads are alive, how many there ever were, and how many spawns
//! wait for one to leave.
//!
//! Only threads of the guest take the lock of the counts, when they spawn and end. The group's end
//! does not: it claims the outcome and rings the bell.

use std::time::Instant;

use super::claim::Claim;
use crate::sys::bell::Bell;
use crate::sys::shim::{Mutex, mutant};

/// The counts of one group.
#[derive(Debug, Default)]
pub(crate) struct Places {
    counts: Mutex<PlaceCounts>,
    /// Rung when a thread leaves while spawns wait for that, and when the group ends.
    pub(crate) free: Bell,
}

#[derive(Debug, Default)]
struct PlaceCounts {
    /// Threads started by the guest and not ended yet.
    alive: u32,
    /// Threads ever started by the guest.
    ever: u64,
    /// Spawns that wait at the limit.
    at_limit: u32,
}

/// The limits a place is taken under.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Most {
    /// The most threads alive at once.
    pub(crate) alive: Option<u32>,
    /// The most threads ever started.
    pub(crate) ever: Option<u64>,
}

/// Why there was no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The group has ended.
    Ended,
    /// The limit of live threads, and none left in time.
    Alive(u32),
    /// The limit of threads ever started.
    Ever(u64),
}

impl Places {
    /// Takes a place, and registers its thread with `claim`. At the limit of live threads it blocks
    /// until one leaves, until the group is claimed, or until a deadline. `until` gives that when
    /// the wait begins; `None` means no deadline.
    pub(crate) fn take(
        &self,
        claim: &Claim,
        most: Most,
        until: impl FnOnce() -> Option<Instant>,
    ) -> Result<(), Refused> {
        let mut until = Some(until);
        let mut deadline = None;
        let mut counts = self.counts.lock();
        loop {
            let heard = self.free.listen();
            if claim.is_closed() {
                return Err(Refused::Ended);
            }
            if let Some(most) = most.ever
                && counts.ever >= most
            {
                return Err(Refused::Ever(most));
            }
            let Some(limit) = most.alive.filter(|limit| counts.alive >= *limit) else {
                break;
            };
            if let Some(until) = until.take() {
                deadline = until();
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(Refused::Alive(limit));
            }
            counts.at_limit += 1;
            drop(counts);
            #[allow(clippy::redundant_locals, reason = "a mutant listens here")]
            let heard = mutant!(
                heard,
                unless "a spawn that listens too late" then {
                    let _ = heard;
                    self.free.listen()
                }
            );
            self.free.wait(heard, deadline);
            counts = self.counts.lock();
            counts.at_limit -= 1;
        }
        // The look above only ends waits. This decides.
        if !claim.step() {
            return Err(Refused::Ended);
        }
        counts.alive += 1;
        counts.ever += 1;
        Ok(())
    }

    /// How many threads there were, those that hold a place included.
    pub(crate) fn ever(&self) -> u64 {
        self.counts.lock().ever
    }

    /// Gives a place back. If its thread was not `started`, it does not count as ever started.
    pub(crate) fn give_back(&self, started: bool) {
        let mut counts = self.counts.lock();
        counts.alive -= 1;
        if !started {
            counts.ever -= 1;
        }
        let wanted = mutant!(
            counts.at_limit > 0,
            unless "a leaver that rings for a lone waiter" then counts.at_limit == 1
        );
        drop(counts);
        if wanted {
            self.free.ring_for_one();
        }
    }
}
