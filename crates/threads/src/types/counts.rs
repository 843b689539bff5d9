//! What a group has counted.

use crate::types::error::SpawnError;

/// How many threads a group had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThreadCounts {
    /// Threads that the guest started; the main thread is not counted.
    pub started: u64,
    /// The most threads that had a place in the group at once, main included. A thread has its
    /// place from the call of `thread-spawn` that starts it, even if that call fails later, until
    /// it has returned.
    pub most: u32,
}

/// Failed `thread-spawn` calls of a group.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SpawnFailures {
    /// How many calls failed.
    pub count: u64,
    /// Why the last one failed.
    pub last: Option<SpawnError>,
}
