//! How a wait went.

/// How a wait went.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum WaitOutcome {
    /// A notify woke the thread: 0 to the guest.
    Woken,
    /// The word held another value: 1 to the guest.
    NotEqual,
    /// The timeout passed: 2 to the guest.
    TimedOut,
    /// The group has ended: the guest gets no answer, its thread is to unwind.
    Ended,
}

impl WaitOutcome {
    /// What `memory.atomic.wait32` and `wait64` return, by the threads
    /// proposal; `None` for [`WaitOutcome::Ended`].
    #[must_use]
    pub fn code(self) -> Option<u32> {
        match self {
            Self::Woken => Some(0),
            Self::NotEqual => Some(1),
            Self::TimedOut => Some(2),
            Self::Ended => None,
        }
    }
}
