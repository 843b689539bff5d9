//! Ending a call that waits in the system: nothing does, so no call that may wait is made where it
//! is to be ended.

/// A call of the calling thread's that can be cancelled.
pub(crate) enum Cancellable {}

impl Cancellable {
    /// None is.
    #[inline]
    pub(crate) fn begin() -> Option<(Self, impl FnOnce() + Send + 'static)> {
        None::<(Self, fn())>
    }
}
