//! What can end a group, or ask about it, from anywhere.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Life, gather_report, profiling, seen};
use crate::types::end_token::EndToken;
use crate::types::outcome::Outcome;
use crate::types::profile::Profile;
use crate::types::report::Report;
use crate::types::thread_id::ThreadId;

/// Ends a group from anywhere: a signal handler's thread, a request that was dropped, a deadline of
/// the embedder's own. Cheap to clone; does not keep the group's threads or memory alive.
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

    /// Ends the group as [`Outcome::Cancelled`]; true when this call ended it, false when it had ended.
    /// Does not wait for its threads: [`ThreadGroup::run`](crate::ThreadGroup::run) does.
    pub fn cancel(&self) -> bool {
        self.life.end(Outcome::Cancelled)
    }

    /// Whether the group has ended.
    pub fn is_ended(&self) -> bool {
        self.life.token().is_ended()
    }

    /// How the group ended, `None` while it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        self.life.outcome()
    }

    /// What every thread is doing. Blocks for at most about `patience`: threads that wait or run wasm answer
    /// themselves, at once if the engine has epochs; one that has not answered by then is reported as in
    /// a host call. Interrupts running wasm, and lets it go on.
    ///
    /// With [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads) no thread is
    /// interrupted but by a signal, and none has to answer: threads in host calls have backtraces,
    /// too, and those that have not begun to run are left out.
    pub fn report(&self, patience: Duration) -> Report {
        self.report_of(usize::MAX, patience)
    }

    /// [`report`](Self::report) that describes `most` threads, those with the lowest ids, and
    /// counts the others without asking them. Without
    /// [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads) one of these is counted as
    /// in a host call only if the call is noted ([`host_call`](crate::host_call)), and as running
    /// if it does not wait.
    pub fn report_of(&self, most: usize, patience: Duration) -> Report {
        match self.life.native() {
            Some(native) => seen::report(&self.life, native, most, patience),
            None => gather_report::gather(&self.life, most, patience),
        }
    }

    /// Where the threads have spent their time until now, with [`GroupBuilder::profile`](crate::GroupBuilder::profile); `None`
    /// without it, and before a thread has begun to run. While the group runs, and after it has ended, as often as it is asked for.
    ///
    /// Threads that are in waits or timed host calls are asked where; blocks for 200 ms at most for that, and copies all
    /// samples.
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

    /// The token host functions watch.
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
