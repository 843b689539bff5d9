//! The lock a write holds from its first byte to its last. The wait for it can be ended.
//!
//! A stream that is polled first has one for reads too, and a listener one for accepting.

use super::block_on::block_on;
use super::end::{BlockingError, EndSignal};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Mutex, MutexGuard};

/// First come, first served; a thread that waits for the lock sleeps and ends with the signal. A
/// task, which may hold it across waits, locks the mutex itself. Made at the first use: many a
/// stream is only read, or only written.
#[derive(Debug, Default)]
pub(super) struct EndableLock(OnceLock<Arc<Mutex<()>>>);

/// The lock is held until this is dropped.
pub(super) type LockGuard<'a> = MutexGuard<'a, ()>;

impl EndableLock {
    /// What a task locks.
    pub(super) fn mutex(&self) -> &Arc<Mutex<()>> {
        self.0.get_or_init(Arc::default)
    }

    /// Takes the lock if it is free.
    pub(super) fn try_lock(&self) -> Option<LockGuard<'_>> {
        self.mutex().try_lock().ok()
    }

    /// Waits for the lock.
    pub(super) fn lock(&self, end: &EndSignal) -> Result<LockGuard<'_>, BlockingError> {
        loop {
            match (self.try_lock(), end.rounds()) {
                (Some(guard), _) => return Ok(guard),
                (None, None) => return Ok(block_on(end.or_raised(self.mutex().lock()))?),
                (None, Some(rounds)) => {
                    rounds.let_others_run()?;
                    end.check()?;
                }
            }
        }
    }
}
