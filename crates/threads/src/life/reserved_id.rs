//! Ids of threads that may be spawned later.

use std::sync::Arc;

use super::Life;
use crate::types::thread_id::ThreadId;

/// An id without a thread. Its drop gives the id back, unless a thread has taken it over.
pub(crate) struct ReservedId {
    life: Arc<Life>,
    id: Option<ThreadId>,
}

impl ReservedId {
    pub(crate) fn take(life: &Arc<Life>) -> Option<Self> {
        let id = life.reserve_id()?;
        Some(Self {
            life: Arc::clone(life),
            id: Some(id),
        })
    }

    /// The id, for data that are made for it.
    pub(crate) fn get(&self) -> Option<ThreadId> {
        self.id
    }

    /// The id, for a thread that takes it over.
    pub(crate) fn into_id(mut self) -> Option<ThreadId> {
        self.id.take()
    }
}

impl Drop for ReservedId {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            self.life.give_back_id(id);
        }
    }
}
