//! The places of a group: how many threads are alive, how many there ever were, and which wait for
//! one to leave.
//!
//! The counts are behind a lock that only threads of the guest take, when they spawn and end: an
//! end claims the outcome and rings the bell.

use std::time::Instant;

use super::claim::Claim;
use crate::sys::bell::Bell;
use crate::sys::shim::{Mutex, mutant};

/// The counts of one group.
#[derive(Debug, Default)]
pub(crate) struct Places {
    counts: Mutex<PlaceCounts>,
    /// Rung when a thread leaves while others wait for that, and when the group ends.
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
    /// Most threads alive at once.
    pub(crate) alive: Option<u32>,
    /// Most threads ever.
    pub(crate) ever: Option<u64>,
}

/// Why there was no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The group has ended.
    Ended,
    /// So many were alive for too long.
    Alive(u32),
    /// So many there were.
    Ever(u64),
}

impl Places {
    /// Takes a place, and registers its thread with `claim`. At the limit of live threads it blocks until one
    /// leaves, until the group is claimed, or until the time that `until` says when the wait begins (`None`: no time).
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
        // The look above was for threads that wait. This is the decision.
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

    /// Gives a place back. One whose thread was never `started` does not count as one that was.
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
