//! Accesses of memory, for an observer.

use std::fmt;

use crate::rewrite::AccessSite;
use crate::types::backtrace::Backtrace;
use crate::types::thread_id::ThreadId;

/// Is told what the threads of a group do to shared memory.
///
/// Called by the thread that is about to make the access, without a lock of the group. It must not
/// block on what other threads of the guest do. A panic ends the run like one of the thread
/// ([`Outcome::Panicked`](crate::Outcome::Panicked)).
///
/// Under a schedule ([`Scheduled::observe_accesses`](crate::schedule::Scheduled::observe_accesses))
/// the calling thread has the turn: there is one call at a time, in the order of the accesses. It
/// must not move the turn. Threads that run at once
/// ([`GroupBuilder::observe_accesses`](crate::GroupBuilder::observe_accesses)) call at the same
/// time. The order of two calls then says nothing about the order of the two accesses.
pub trait AccessObserver: Send + Sync {
    /// A thread is about to access memory; it will, unless that traps.
    fn access(&self, access: &GuestAccess<'_>);

    /// Whether [`GuestAccess::point`] matters to this observer. To know it takes a lock for each
    /// access. It is 0 if this is false. Asked once, before anything runs.
    fn counts_points(&self) -> bool {
        true
    }

    /// `parent` is about to start `thread`, which has done nothing yet. Not told under a schedule,
    /// where the
    /// [`Policy`](crate::schedule::Policy) is told, nor of the main thread.
    fn spawned(&self, thread: ThreadId, parent: ThreadId) {
        let _ = (thread, parent);
    }

    /// The thread accesses nothing any more, or was not started after all. Another thread will get
    /// its id. Not told under a schedule.
    fn ended(&self, thread: ThreadId) {
        let _ = thread;
    }
}

/// An access that is about to be done. With [`Recorded::Races`](crate::rewrite::Recorded::Races) it
/// may be a call of the host's or of the allocator's instead, as the instruction's
/// [`op`](AccessSite::op) says.
#[non_exhaustive]
pub struct GuestAccess<'a> {
    /// The thread.
    pub thread: ThreadId,
    /// How many points it has passed, that of this access included; 0 if threads run at once, or
    /// [`AccessObserver::counts_points`] is false.
    pub point: u64,
    /// The instruction, as an index into
    /// [`ThreadModule::access_sites`](crate::ThreadModule::access_sites).
    pub site: u32,
    /// The instruction.
    pub instruction: &'a AccessSite,
    /// The memory, as an index among the module's shared memory imports, as in
    /// [`WaitingThread::memory`](crate::WaitingThread::memory); `None` for a memory that the
    /// thread's instance defines itself, which no other thread sees.
    pub memory: Option<usize>,
    /// The guest's address of the first byte, offset included. It may be beyond the memory.
    pub address: u64,
    /// How many bytes.
    pub length: u64,
    pub(crate) trace: &'a dyn Fn() -> Option<Backtrace>,
}

impl GuestAccess<'_> {
    /// Where the thread is. The innermost frame is the instruction's. Takes some microseconds.
    /// `None` if the group is gone.
    pub fn backtrace(&self) -> Option<Backtrace> {
        (self.trace)()
    }
}

impl fmt::Debug for GuestAccess<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuestAccess")
            .field("thread", &self.thread)
            .field("point", &self.point)
            .field("site", &self.site)
            .field("instruction", &self.instruction)
            .field("memory", &self.memory)
            .field("address", &self.address)
            .field("length", &self.length)
            .finish_non_exhaustive()
    }
}
