//! A lock whose wait can be ended.

use super::end::{EndSignal, Interrupted};
use super::park::park_on;
use std::sync::Arc;
use tokio::sync::{Mutex, MutexGuard};

/// First come, first served; a thread that waits for its turn sleeps and ends with the signal. A task, which may hold its
/// turn across waits, locks the mutex itself.
#[derive(Debug, Default)]
pub(super) struct Turn(Arc<Mutex<()>>);

/// Held for the length of one turn.
pub(super) type Held<'a> = MutexGuard<'a, ()>;

impl Turn {
    /// What a task locks.
    pub(super) fn mutex(&self) -> &Arc<Mutex<()>> {
        &self.0
    }

    /// The turn, if nobody has it.
    pub(super) fn try_take(&self) -> Option<Held<'_>> {
        self.0.try_lock().ok()
    }

    /// Waits for the turn.
    pub(super) fn take(&self, end: &EndSignal) -> Result<Held<'_>, Interrupted> {
        match self.try_take() {
            Some(held) => Ok(held),
            None => park_on(end.or_raised(self.0.lock())),
        }
    }
}
