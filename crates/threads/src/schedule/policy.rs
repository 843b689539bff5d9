//! Policies: what they are told, and what they decide.

use crate::types::thread_id::ThreadId;

/// Why a thread stopped at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// The main thread is about to begin. Every other thread begins when it is given a turn.
    Start,
    /// Before an atomic load, store or read-modify-write.
    Atomic,
    /// Before a plain load or store, or a `memory.fill`, `copy` or `init`.
    Access,
    /// At the beginning of a function or of a loop iteration.
    Loop,
    /// Before a `memory.atomic.wait`, while the thread is runnable; or in it, while it is not.
    Wait,
    /// Before a `memory.atomic.notify`, or after one that has woken a thread.
    Notify,
    /// Before a host call.
    HostCall,
    /// After a `thread-spawn`: the new thread is runnable.
    Spawn,
    /// It sleeps until a time.
    Sleep,
    /// It would rather let another thread run.
    Yield,
    /// It has ended.
    End,
}

/// What a policy is told when it decides.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stop<'a> {
    /// The thread that held the turn.
    pub thread: ThreadId,
    /// How many points it has passed, this one included. A thread with the id of one that has ended
    /// goes on with its count, so `(thread, point)` names one decision.
    pub point: u64,
    /// Why it stopped.
    pub why: Why,
    /// The threads that can run, by id, including those whose deadline has passed. `thread` is not
    /// among them if it waits, sleeps or has ended. Empty if all live threads wait for a deadline.
    pub runnable: &'a [ThreadId],
    /// Threads in timed waits and sleeps, by deadline and then by id.
    pub sleeping: &'a [Sleeper],
    /// Points of all threads so far.
    pub total: u64,
    /// The virtual time, in nanoseconds.
    pub now: u64,
}

/// A thread in a timed wait or a sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Sleeper {
    /// The thread.
    pub thread: ThreadId,
    /// Its deadline, in virtual nanoseconds.
    pub deadline: u64,
}

/// Which thread is next, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The thread that runs: one of [`Stop::runnable`], or of [`Stop::sleeping`], whose deadline
    /// then comes at once. Any other ends the run
    /// ([`ScheduleError::NotRunnable`](crate::schedule::ScheduleError::NotRunnable)).
    pub thread: ThreadId,
    /// How many points it may pass before the policy is asked again; with 0 the next point asks.
    /// The policy is asked earlier if the set of runnable threads changes.
    pub budget: u64,
}

/// Decides which thread is next.
///
/// The thread that holds the turn calls these methods, one call at a time, without a lock of the
/// group. It must not block, and must not use the
/// [`ScheduleHandle`](crate::schedule::ScheduleHandle) except for
/// [`stop`](crate::schedule::ScheduleHandle::stop),
/// [`not_reproducible`](crate::schedule::ScheduleHandle::not_reproducible) and
/// [`now`](crate::schedule::ScheduleHandle::now). A panic ends the run like one of the thread
/// ([`Outcome::Panicked`](crate::Outcome::Panicked)).
pub trait Policy: Send {
    /// `thread` has been started by `parent`, and is runnable from the next decision on. The main
    /// thread has no parent.
    fn began(&mut self, thread: ThreadId, parent: Option<ThreadId>) {
        let _ = (thread, parent);
    }

    /// Which thread is next, and for how long. At least one of the two lists of `stop` is not
    /// empty.
    fn next(&mut self, stop: &Stop<'_>) -> Turn;

    /// `thread` has ended: its store is gone, and another thread may get its id.
    fn ended(&mut self, thread: ThreadId) {
        let _ = thread;
    }
}
