//! How a group with a schedule ends, for what its schedule finds.

use std::sync::Arc;

use super::Life;
use crate::schedule::{Blocked, Turns, Verdict};
use crate::types::outcome::Outcome;
use crate::types::report::WaitingThread;

impl Life {
    pub(crate) fn set_turns(&self, turns: &Arc<Turns>) {
        // Called once.
        let _ = self.turns.set(Arc::clone(turns));
    }

    /// The turns of a group with a schedule.
    pub(crate) fn turns(&self) -> Option<&Arc<Turns>> {
        self.turns.get()
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
