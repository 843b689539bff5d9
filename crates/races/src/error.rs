//! What can be wrong with an event.

/// Why an event was not taken. The detector is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The thread was not started, or has ended.
    #[error("thread {0} was not started, or has ended")]
    UnknownThread(u32),
    /// A thread of this number runs already.
    #[error("thread {0} was started, and has not ended")]
    RunsAlready(u32),
    /// As many run as are told apart ([`Limits::threads`](crate::Limits::threads)).
    #[error("more than {0} threads run")]
    TooManyThreads(u16),
    /// The range reaches beyond the last address.
    #[error("{size} bytes at {address:#x} reach beyond the last address")]
    OutOfRange {
        /// Where it begins.
        address: u64,
        /// Its bytes.
        size: u64,
    },
    /// An atomic access of this size, or at an address that is not a multiple of it.
    #[error("an atomic access of {size} bytes at {address:#x}")]
    NotAtomic {
        /// Where it begins.
        address: u64,
        /// Its bytes.
        size: u64,
    },
}
