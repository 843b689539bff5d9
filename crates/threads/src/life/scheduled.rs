//! How a group with a schedule ends, for what its schedule finds; and what is told of accesses.

use std::sync::{Arc, OnceLock};

use super::Life;
use crate::schedule::{AccessObserver, Blocked, Turns, Verdict};
use crate::types::outcome::Outcome;
use crate::types::report::WaitingThread;

/// What each thread of such a group meets. Set by the builder.
#[derive(Default)]
pub(super) struct Followed {
    turns: OnceLock<Arc<Turns>>,
    accesses: OnceLock<Arc<dyn AccessObserver>>,
}

impl Life {
    pub(crate) fn set_turns(&self, turns: &Arc<Turns>) {
        // Called once.
        let _ = self.followed.turns.set(Arc::clone(turns));
    }

    /// The turns of a group with a schedule.
    pub(crate) fn turns(&self) -> Option<&Arc<Turns>> {
        self.followed.turns.get()
    }

    /// Has `observer` told of accesses, in a group whose threads run at once.
    pub(crate) fn set_accesses(&self, observer: Arc<dyn AccessObserver>) {
        // Called once.
        let _ = self.followed.accesses.set(observer);
    }

    /// What is told of accesses where threads run at once.
    pub(crate) fn accesses(&self) -> Option<&Arc<dyn AccessObserver>> {
        self.followed.accesses.get()
    }

    /// Ends the group for what its schedule found.
    pub(crate) fn judged(self: &Arc<Self>, verdict: Verdict) {
        let blocked = match verdict {
            Verdict::Deadlock(blocked) => blocked,
            Verdict::Failed(error) => {
                self.end(Outcome::ScheduleFailed(error));
                return;
            }
        };
        // No thread is being started: only the holder of the turn could start one.
        while let Some(seen) = self.claim.look() {
            if self.claim.ask(seen) {
                let threads = blocked.iter().map(|one| self.describe_blocked(one));
                return self.ask_stuck(threads.collect());
            }
        }
    }

    /// What a schedule knows of a waiting thread, in the guest's terms. There is no time since
    /// when: a schedule does not use the host's clock.
    pub(crate) fn describe_blocked(&self, blocked: &Blocked) -> WaitingThread {
        let Blocked {
            thread,
            address,
            width,
            timed,
        } = *blocked;
        self.described(thread, address, width, timed)
    }
}
