//! The places of a group's threads: which thread gets one, waits for one, and gives it back.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Instant;

use super::Life;
use super::Threads;
use super::places::{Most, Refused};
use super::reserved_id::ReservedId;
use crate::types::counts::{SpawnFailures, ThreadCounts};
use crate::types::error::SpawnError;
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;
use crate::watch::record::ThreadRecord;

impl Life {
    /// Reserves the main thread's place.
    pub(crate) fn enter_main(self: &Arc<Self>) -> HeldPlace {
        let record = ThreadRecord::new(ThreadId::MAIN, &self.lot, self.call_names);
        self.list().insert(&record);
        HeldPlace {
            life: Arc::clone(self),
            record,
            held: true,
            started: false,
        }
    }

    /// Reserves the place of a thread the guest starts. At the limit of live threads it blocks
    /// until one leaves or the group ends, for [`Limits::spawn_wait`] at most.
    ///
    /// The thread gets the id `reserved`, or a new one if that has none. If this fails, `reserved`
    /// keeps its id.
    pub(crate) fn enter(
        self: &Arc<Self>,
        limits: &Limits,
        reserved: &mut Option<ReservedId>,
    ) -> Result<HeldPlace, SpawnError> {
        let most = Most {
            alive: limits.threads,
            ever: limits.threads_ever,
        };
        // A wait that exceeds the clock has no deadline.
        let until = || Instant::now().checked_add(limits.spawn_wait);
        self.places
            .take(&self.claim, most, until)
            .map_err(|refused| match refused {
                Refused::Ended => SpawnError::Ended,
                Refused::Alive(most) => SpawnError::Limit(most),
                Refused::Ever(most) => SpawnError::LimitEver(most),
            })?;
        let id = reserved.take().and_then(ReservedId::into_id);
        let mut list = self.list();
        let Some(id) = id.or_else(|| list.tids.take()) else {
            drop(list);
            self.places.give_back(false);
            return Err(SpawnError::NoThreadId);
        };
        // Its spawner is live until it is, so the group is not found stuck meanwhile.
        let record = ThreadRecord::new(id, &self.lot, self.call_names);
        list.insert(&record);
        drop(list);
        Ok(HeldPlace {
            life: Arc::clone(self),
            record,
            held: true,
            started: false,
        })
    }

    /// Takes an id for a thread that may be spawned later.
    pub(crate) fn reserve_id(&self) -> Option<ThreadId> {
        self.list().tids.take()
    }

    /// Gives back an id whose store is gone.
    pub(crate) fn give_back_id(&self, id: ThreadId) {
        self.list().tids.give_back(id);
    }

    /// Takes a thread out of the group. One that was not `started` does not count as ever started.
    fn leave(&self, id: ThreadId, started: bool) {
        let record = self.list().records.remove(&id);
        drop(record);
        if id != ThreadId::MAIN {
            self.places.give_back(started);
        }
    }

    /// Counts a failed `thread-spawn`, and keeps its error.
    pub(crate) fn note_spawn_failure(&self, error: &SpawnError) {
        let mut failures = self.failures();
        failures.count += 1;
        failures.last = Some(error.clone());
    }

    pub(crate) fn thread_counts(&self) -> ThreadCounts {
        let most = self.list().most;
        ThreadCounts {
            started: self.places.ever(),
            most,
        }
    }

    pub(crate) fn spawn_failures(&self) -> SpawnFailures {
        self.failures().clone()
    }

    fn failures(&self) -> MutexGuard<'_, SpawnFailures> {
        self.spawn_failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    fn insert(&mut self, record: &Arc<ThreadRecord>) {
        self.records.insert(record.id(), Arc::clone(record));
        // There are fewer than 2^29 ids.
        self.most = self.most.max(self.records.len() as u32);
    }
}

/// A thread's place in its group: its id, and its share of the limit. Its drop gives both back;
/// [`HeldPlace::leave`] gives back all except the id earlier.
pub(crate) struct HeldPlace {
    life: Arc<Life>,
    record: Arc<ThreadRecord>,
    held: bool,
    started: bool,
}

impl HeldPlace {
    pub(crate) fn id(&self) -> ThreadId {
        self.record.id()
    }

    pub(crate) fn record(&self) -> &Arc<ThreadRecord> {
        &self.record
    }

    /// Notes that the thread runs on its host thread.
    pub(crate) fn start(&mut self) {
        self.started = true;
        self.record.begin();
    }

    /// Gives the place back, and keeps the id, because the store's data were made for it.
    pub(crate) fn leave(&mut self) {
        if std::mem::take(&mut self.held) {
            self.record.gone();
            self.life.leave(self.record.id(), self.started);
        }
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.leave();
        let id = self.record.id();
        if id != ThreadId::MAIN {
            self.life.give_back_id(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wasmtime::Engine;

    use crate::waits::ParkingLot;

    fn life() -> Arc<Life> {
        let lot = ParkingLot::new(4, false);
        Life::new(&Engine::default(), false, lot, Vec::new(), None, &[])
    }

    /// A thread does not count as started if its instance or its host thread could not be made.
    #[test]
    fn threads_ever_counts_those_that_were_started() {
        let life = life();
        let limits = Limits::new().threads_ever(2);
        for _ in 0..10 {
            drop(life.enter(&limits, &mut None).unwrap());
        }
        for _ in 0..2 {
            let mut place = life.enter(&limits, &mut None).unwrap();
            place.start();
        }
        let third = life.enter(&limits, &mut None);
        assert!(matches!(third, Err(SpawnError::LimitEver(2))));
        let counts = ThreadCounts {
            started: 2,
            most: 1,
        };
        assert_eq!(life.thread_counts(), counts);
    }

    /// Main has a place, and does not count for the limits.
    #[test]
    fn main_counts_among_the_most_and_for_no_limit() {
        let life = life();
        let limits = Limits::new().threads(1).spawn_wait(Duration::ZERO);
        let main = life.enter_main();
        let mut thread = life.enter(&limits, &mut None).unwrap();
        thread.start();
        assert!(life.enter(&limits, &mut None).is_err());
        drop(thread);
        drop(main);
        drop(life.enter(&limits, &mut None).unwrap());
        let counts = ThreadCounts {
            started: 1,
            most: 2,
        };
        assert_eq!(life.thread_counts(), counts);
    }

    /// A thread that has left keeps its id while there may be data that were made for it.
    #[test]
    fn an_id_is_not_given_again_before_the_store_is_gone() {
        let life = life();
        let limits = Limits::new().threads(1).spawn_wait(Duration::ZERO);
        let mut first = life.enter(&limits, &mut None).unwrap();
        assert!(life.enter(&limits, &mut None).is_err());
        first.leave();
        let second = life.enter(&limits, &mut None).unwrap();
        assert_eq!((first.id().get(), second.id().get()), (1, 2));
        drop(first);
        drop(second);
        let third = life.enter(&limits, &mut None).unwrap();
        assert_eq!(third.id().get(), 1);
    }

    /// An id that is reserved comes back from a spawn that is refused.
    #[test]
    fn a_refused_spawn_keeps_the_reserved_id() {
        let life = life();
        let limits = Limits::new().threads(0).spawn_wait(Duration::ZERO);
        let mut reserved = ReservedId::take(&life);
        assert!(life.enter(&limits, &mut reserved).is_err());
        assert!(reserved.is_some());
    }
}
