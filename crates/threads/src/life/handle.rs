//! The handle that ends a group, or asks about it, from any thread.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Life, gather_report, profiling, seen};
use crate::types::end_token::EndToken;
use crate::types::outcome::Outcome;
use crate::types::profile::Profile;
use crate::types::report::Report;
use crate::types::thread_id::ThreadId;

/// Ends a group from any thread, for instance at a signal, when a request is dropped, or at a
/// deadline of the embedder's own. Cheap to clone; does not keep the group's threads or memory
/// alive.
#[derive(Clone)]
pub struct GroupHandle {
    life: Arc<Life>,
}

impl GroupHandle {
    pub(crate) fn new(life: &Arc<Life>) -> Self {
        Self {
            life: Arc::clone(life),
        }
    }

    /// Ends the group as [`Outcome::Cancelled`]; true if this call ended it, false if it had ended.
    /// Does not wait for its threads: [`ThreadGroup::run`](crate::ThreadGroup::run) does.
    pub fn cancel(&self) -> bool {
        self.life.end(Outcome::Cancelled)
    }

    /// Whether the group has ended.
    pub fn is_ended(&self) -> bool {
        self.life.token().is_ended()
    }

    /// How the group ended; `None` if it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        self.life.outcome()
    }

    /// What every thread is doing. Blocks for at most about `patience`. Threads that wait or run
    /// wasm answer themselves, at once if the engine has epochs. One that has not answered by then
    /// is reported as in a host call. Interrupts running wasm, and lets it go on.
    ///
    /// With [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads) only a signal
    /// interrupts threads, and none has to answer. Then threads in host calls have backtraces too,
    /// and those that have not begun to run are left out.
    pub fn report(&self, patience: Duration) -> Report {
        self.report_of(usize::MAX, patience)
    }

    /// [`report`](Self::report) that describes the `most` threads with the lowest ids, and counts
    /// the others without asking them. Without
    /// [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads) a counted thread that does
    /// not wait counts as in a host call if the call is noted ([`host_call`](crate::host_call)),
    /// and otherwise as running.
    pub fn report_of(&self, most: usize, patience: Duration) -> Report {
        match self.life.native() {
            Some(native) => seen::report(&self.life, native, most, patience),
            None => gather_report::gather(&self.life, most, patience),
        }
    }

    /// Where the threads have spent their time until now. `None` without
    /// [`GroupBuilder::profile`](crate::GroupBuilder::profile), and before a thread has begun to
    /// run. May be called any number of times, while the group runs and after it has ended.
    ///
    /// Threads in waits or timed host calls are asked where they are, for which it blocks for 200
    /// ms at most. Copies all samples.
    pub fn profile(&self) -> Option<Profile> {
        profiling::profile(&self.life, self.life.native()?)
    }

    /// Ids of the threads that have not ended, in order.
    pub fn threads(&self) -> Vec<ThreadId> {
        self.life.threads()
    }

    /// The group's life.
    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// The token that host functions watch.
    pub fn token(&self) -> EndToken {
        self.life.token().clone()
    }
}

impl fmt::Debug for GroupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle")
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}
