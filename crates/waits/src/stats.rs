//! What a lot has done: totals.

/// Totals of a lot since it was made.
///
/// Buckets are read one after the other while threads go on, so the fields of a busy lot may be
/// some calls apart. At rest, `queued` is `wakes + timeouts + ended`, plus the threads that wait,
/// less the waits of zero nanoseconds. Those count as timeouts without being queued.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct WaitStatistics {
    /// Waits that found the expected value and had to wait.
    pub queued: u64,
    /// Waits that found another value.
    pub not_equal: u64,
    /// Calls to notify.
    pub notifies: u64,
    /// Waiters woken by them.
    pub wakes: u64,
    /// Waits that ran out of time, waits of zero nanoseconds included.
    pub timeouts: u64,
    /// Waiters woken because the group ended, and waits refused because it had.
    pub ended: u64,
}
