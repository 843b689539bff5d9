//! What the threads of a group are doing: on demand, when they are stuck, and when one stays
//! behind.

use std::time::Instant;

use crate::types::backtrace::Backtrace;
use crate::types::thread_id::ThreadId;
use crate::waits::Width;

/// A thread that waits in `memory.atomic.wait32` or `wait64`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WaitingThread {
    /// The thread.
    pub thread: ThreadId,
    /// The memory, as an index among the module's shared memory imports, without duplicates; `None`
    /// for a memory that the module defines itself.
    pub memory: Option<usize>,
    /// The guest's address of the word, offset included.
    pub address: Option<u64>,
    /// The width of the word.
    pub width: Width,
    /// When it began to wait; `None` in a group with a schedule, which has no clock of the host's.
    pub since: Option<Instant>,
    /// Whether the wait has a timeout.
    pub timed: bool,
    /// Where in the program it waits; `None` if that is not known.
    pub backtrace: Option<Backtrace>,
}

/// A group all of whose threads wait for one another.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Deadlock {
    /// Every thread of the group, by id.
    pub threads: Vec<WaitingThread>,
}

/// What a thread is doing.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ThreadState {
    /// It runs wasm.
    Running,
    /// It waits on a word of the memory.
    Waiting(WaitingThread),
    /// It did not answer in time: it is in a host call, or in wasm that no epoch interrupts.
    HostCall {
        /// The call's name, if it is told by [`host_call`](crate::host_call) or
        /// [`note_host_call`](crate::note_host_call).
        name: Option<&'static str>,
        /// When the call began, if it is told by `host_call`.
        since: Option<Instant>,
    },
    /// It is the main instance of a [`Reactor`](crate::Reactor), between two calls.
    Idle,
}

/// One thread in a [`Report`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ThreadReport {
    /// The thread.
    pub thread: ThreadId,
    /// What it is doing.
    pub state: ThreadState,
    /// Where in the program it is; `None` if it did not answer in time.
    pub backtrace: Option<Backtrace>,
}

/// What every thread of a group is doing, by thread id.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The threads that had not ended and are described.
    pub threads: Vec<ThreadReport>,
    /// The other threads that had not ended, counted.
    pub others: Others,
}

/// Threads that a [`Report`] counts and does not describe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Others {
    /// They run wasm.
    pub running: usize,
    /// They wait on words of the memory.
    pub waiting: usize,
    /// They are in host calls.
    pub in_host_calls: usize,
}

impl Others {
    /// How many they are.
    pub fn count(&self) -> usize {
        self.running + self.waiting + self.in_host_calls
    }
}

/// A thread that was still in host code when the grace period was over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeftBehind {
    /// The thread.
    pub thread: ThreadId,
    /// The host call it is in, if it is told by [`host_call`](crate::host_call) or
    /// [`note_host_call`](crate::note_host_call).
    pub host_call: Option<&'static str>,
    /// Whether it may have been computing. There are three cases. It had no turn on a processor in
    /// which it could stop. Or it was in a long `memory.fill`, `memory.copy` or the like, which may
    /// still write. Or nothing stops it
    /// ([`Termination::AtHostCalls`](crate::Termination::AtHostCalls)).
    pub computing: bool,
}
