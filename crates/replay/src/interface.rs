//! What a policy is asked, and what it answers.

use std::fmt;

/// Id of a thread; 0 is the main one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(u32);

impl ThreadId {
    /// The thread that runs the group's export.
    pub const MAIN: ThreadId = ThreadId(0);

    /// The thread with this id.
    #[must_use]
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// The id as the guest sees it; 0 for the main thread.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
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

/// Why a thread stopped at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// Its first point.
    Start,
    /// An atomic load, store or exchange.
    Atomic,
    /// A plain load or store.
    Access,
    /// The head of a loop, or a function's entry.
    Loop,
    /// It waits on a word of memory.
    Wait,
    /// It notifies waiters.
    Notify,
    /// A host call begins.
    HostCall,
    /// It has started a thread.
    Spawn,
    /// It sleeps.
    Sleep,
    /// It yields.
    Yield,
    /// It has ended.
    End,
}

/// What a policy is told when the turn is to be given on.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Stop<'a> {
    /// The thread that had the turn.
    pub thread: ThreadId,
    /// How many points it has passed, this one included.
    pub point: u64,
    /// Why it stopped.
    pub why: Why,
    /// The threads that can run, in the order of their ids.
    pub runnable: &'a [ThreadId],
    /// Threads in timed waits and sleeps, the earliest deadline first, ties by id.
    pub sleeping: &'a [Sleeper],
    /// Points of all threads so far.
    pub total: u64,
    /// The virtual time, in nanoseconds.
    pub now: u64,
}

impl<'a> Stop<'a> {
    /// A stop of `thread` at its point `point`, for this reason.
    #[must_use]
    pub fn new(thread: ThreadId, point: u64, why: Why) -> Self {
        Self {
            thread,
            point,
            why,
            runnable: &[],
            sleeping: &[],
            total: point,
            now: 0,
        }
    }

    /// The threads that can run, in the order of their ids, and those that sleep, the earliest
    /// deadline first.
    #[must_use]
    pub fn threads(self, runnable: &'a [ThreadId], sleeping: &'a [Sleeper]) -> Self {
        Self {
            runnable,
            sleeping,
            ..self
        }
    }

    /// How many points all threads have passed.
    #[must_use]
    pub fn total(self, total: u64) -> Self {
        Self { total, ..self }
    }

    /// The virtual time, in nanoseconds; without it, 0.
    #[must_use]
    pub fn now(self, now: u64) -> Self {
        Self { now, ..self }
    }
}

/// A thread that sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleeper {
    /// The thread.
    pub thread: ThreadId,
    /// When its sleep ends, in virtual nanoseconds.
    pub deadline: u64,
}

/// What is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The thread that gets the turn. A sleeper: its deadline has come.
    pub thread: ThreadId,
    /// How many points it may pass before the policy is asked again; 0: the next point stops.
    pub budget: u64,
}

/// Decides which thread runs next.
pub trait Policy: Send {
    /// A thread begins; before it is runnable.
    fn began(&mut self, thread: ThreadId, parent: Option<ThreadId>) {
        let _ = (thread, parent);
    }

    /// The turn is to be given on.
    fn next(&mut self, stop: &Stop<'_>) -> Turn;

    /// A thread has ended.
    fn ended(&mut self, thread: ThreadId) {
        let _ = thread;
    }
}
