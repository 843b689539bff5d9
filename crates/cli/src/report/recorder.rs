//! Recording what a run does, for `--stats` and `--trace`.
//!
//! Threads, waits and wake-ups come from the group, WASI calls from the adapter. Each event is
//! recorded by the thread that causes it, in a record of its own. So recording does not contend:
//! only its thread takes a record's lock, and the one that reads it when the run is over.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use p1_adapter::{CallObserver, CallOutcome, Raised};
use wasi_threads::{FailedSpawn, Notify, Observer, Outcome, Spawn, ThreadId, Wait, WaitEnd};

use crate::report::calls::Noting;
use crate::report::events::{EventKind, Nanos, TraceEvent};
use crate::report::totals::Totals;

/// The most calls, waits and notifies that are kept of one run, all threads together (about 160
/// MB).
pub(crate) const MOST_EVENTS: usize = 1 << 21;

/// The most lives, spawns and ends that are kept in addition, so that every track has its frame.
const MOST_LIVES: usize = 1 << 20;

/// For how many events a host thread takes capacity at once, so that threads rarely contend for it.
const PORTION: usize = 256;

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Recorder {
    began: Instant,
    /// Whether single events are kept, or only totals.
    events: bool,
    noting: Noting,
    records: Mutex<Vec<Arc<Mutex<HostRecord>>>>,
    /// The end of the group, once the observer is told of it.
    end: OnceLock<TraceEvent>,
    /// Capacity for events that no thread has taken.
    capacity: AtomicUsize,
    /// Capacity for lives that no thread has taken.
    capacity_for_lives: AtomicUsize,
}

/// The record of one host thread about its guest threads.
#[derive(Debug, Default)]
struct HostRecord {
    events: Vec<TraceEvent>,
    totals: Totals,
    /// For how many more events it has capacity.
    capacity: usize,
    /// When the present life began.
    life: Nanos,
    /// The thread whose life that is, if there is one.
    living: Option<u32>,
    /// When the present wait began.
    wait: Nanos,
}

thread_local! {
    /// This host thread's record. There is one recorder in a process.
    static RECORD: RefCell<Option<Arc<Mutex<HostRecord>>>> = const { RefCell::new(None) };
    /// The guest thread this host thread runs.
    static GUEST: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

impl Recorder {
    /// Begins to record; with `events`, keeps single events. Notes the calls like `noting`.
    pub(crate) fn new(events: bool, noting: Noting) -> Self {
        Self::with_capacity(events, noting, MOST_EVENTS)
    }

    fn with_capacity(events: bool, noting: Noting, capacity: usize) -> Self {
        Recorder {
            began: Instant::now(),
            events,
            noting,
            records: Mutex::default(),
            end: OnceLock::new(),
            capacity: AtomicUsize::new(capacity),
            capacity_for_lives: AtomicUsize::new(MOST_LIVES),
        }
    }

    /// The totals so far.
    pub(crate) fn totals(&self) -> Totals {
        let mut all = Totals::default();
        for record in lock(&self.records).iter() {
            let totals = &lock(record).totals;
            for (name, calls) in &totals.calls {
                let sum = all.calls.entry(name).or_default();
                sum.times.join(&calls.times);
                sum.failed += calls.failed;
            }
            all.spawns.join(&totals.spawns);
            all.waits.join(&totals.waits);
            all.lost += totals.lost;
        }
        all
    }

    /// Takes the events so far, sorted by when they began.
    pub(crate) fn take_events(&self) -> Vec<TraceEvent> {
        let mut all = Vec::new();
        let now = self.now();
        for record in lock(&self.records).iter() {
            let mut record = lock(record);
            let mut events = std::mem::take(&mut record.events);
            if let Some(thread) = record.living.take() {
                // Its thread was stopped, and its life has no end.
                events.push(TraceEvent {
                    thread,
                    began: record.life,
                    ended: now,
                    what: EventKind::Life,
                });
            }
            match all.is_empty() {
                true => all = events,
                false => all.append(&mut events),
            }
        }
        all.extend(self.end.get().cloned());
        // An event comes before those inside it.
        all.sort_by_key(|event| (event.began, u64::MAX - event.ended));
        all
    }

    fn now(&self) -> Nanos {
        self.since(Instant::now())
    }

    fn since(&self, instant: Instant) -> Nanos {
        let nanos = instant.saturating_duration_since(self.began).as_nanos();
        // Enough for 584 years.
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Does `work` on this host thread's record.
    fn with<R>(&self, work: impl FnOnce(&mut HostRecord) -> R) -> R {
        RECORD.with_borrow_mut(|mine| {
            let record = mine.get_or_insert_with(|| {
                let record = Arc::default();
                lock(&self.records).push(Arc::clone(&record));
                record
            });
            work(&mut lock(record))
        })
    }

    fn keep(&self, record: &mut HostRecord, began: Nanos, ended: Nanos, what: EventKind) {
        if !self.events {
            return;
        }
        let has_capacity = match what {
            EventKind::Life | EventKind::Spawn(_) => take(&self.capacity_for_lives, 1) == 1,
            _ => {
                if record.capacity == 0 {
                    record.capacity = take(&self.capacity, PORTION);
                }
                let has_capacity = record.capacity > 0;
                record.capacity -= usize::from(has_capacity);
                has_capacity
            }
        };
        if !has_capacity {
            record.totals.lost += 1;
            return;
        }
        record.events.push(TraceEvent {
            thread: GUEST.get(),
            began,
            ended,
            what,
        });
    }
}

/// Takes up to `most` of the capacity that is left.
fn take(capacity: &AtomicUsize, most: usize) -> usize {
    // Relaxed: no other memory depends on this number.
    let before = capacity.try_update(Relaxed, Relaxed, |left| Some(left.saturating_sub(most)));
    before.unwrap_or_else(|left| left).min(most)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic can only have interrupted counting, and a number is always valid.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CallObserver for Recorder {
    fn started(&self, function: &'static str) -> u64 {
        self.noting.started(function);
        self.now()
    }

    fn ended(&self, function: &'static str, started: u64, outcome: CallOutcome<'_>) {
        let now = self.now();
        self.noting.ended(function, 0, CallOutcome::Returned(0));
        let errno = match outcome {
            CallOutcome::Returned(errno) => Some(errno),
            _ => None,
        };
        self.with(|record| {
            let calls = record.totals.calls.entry(function).or_default();
            calls.times.add(now - started);
            calls.failed += u64::from(errno.is_some_and(|errno| errno != 0));
            self.keep(record, started, now, EventKind::Call(function, errno));
        });
    }
}

impl Observer for Recorder {
    fn thread_began(&self, thread: ThreadId) {
        GUEST.set(thread.get());
        let now = self.now();
        self.with(|record| {
            record.life = now;
            record.living = Some(thread.get());
        });
    }

    fn thread_ended(&self, _: ThreadId) {
        let now = self.now();
        self.with(|record| {
            record.living = None;
            self.keep(record, record.life, now, EventKind::Life);
        });
    }

    fn spawned(&self, spawn: &Spawn) {
        let began = self.since(spawn.began);
        let took = u64::try_from(spawn.took.as_nanos()).unwrap_or(u64::MAX);
        self.with(|record| {
            record.totals.spawns.add(took);
            let what = EventKind::Spawn(spawn.thread.get());
            self.keep(record, began, began + took, what);
        });
    }

    fn spawn_failed(&self, failure: &FailedSpawn<'_>) {
        let began = self.since(failure.began);
        let now = self.now();
        self.with(|record| {
            let what = EventKind::SpawnFailed(failure.error.to_string());
            self.keep(record, began, now, what);
        });
    }

    fn wait_began(&self, _: &Wait) {
        let now = self.now();
        self.with(|record| record.wait = now);
    }

    fn wait_ended(&self, wait: &Wait, end: WaitEnd) {
        let now = self.now();
        self.with(|record| {
            let began = record.wait;
            record.totals.waits.add(now - began);
            let address = wait.address;
            self.keep(record, began, now, EventKind::Wait { address, end });
        });
    }

    fn notified(&self, notify: &Notify<'_>) {
        let began = self.since(notify.at);
        let now = self.now();
        self.with(|record| {
            let what = EventKind::Notify {
                address: notify.address,
                id: notify.id.get(),
                woken: notify.threads.iter().map(|thread| thread.get()).collect(),
            };
            self.keep(record, began, now, what);
        });
    }

    fn ended(&self, outcome: &Outcome) {
        let now = self.now();
        let said = match outcome {
            Outcome::Returned => "returned".to_owned(),
            Outcome::Exited(code) => format!("exit code {code}"),
            Outcome::Trapped { thread, error, .. }
                if let Some(raised) = error.downcast_ref::<Raised>() =>
            {
                format!("thread {thread} raised {}", raised.name)
            }
            Outcome::Trapped { thread, .. } => format!("thread {thread} trapped"),
            Outcome::TimedOut => "timed out".to_owned(),
            Outcome::Cancelled => "cancelled".to_owned(),
            Outcome::Deadlocked(_) => "deadlock".to_owned(),
            Outcome::Panicked { .. } => "a host function panicked".to_owned(),
            _ => "ended".to_owned(),
        };
        // Not into a record: the thread that ends a group must take no lock that a thread of the
        // guest can hold.
        if self.events {
            let _ = self.end.set(TraceEvent {
                thread: GUEST.get(),
                began: now,
                ended: now,
                what: EventKind::End(said),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_add_up() {
        let recorder = Arc::new(Recorder::new(true, Noting { timed: false }));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for errno in [0, 8, 0] {
                        let started = recorder.started("fd_write");
                        CallObserver::ended(
                            &*recorder,
                            "fd_write",
                            started,
                            CallOutcome::Returned(errno),
                        );
                    }
                });
            }
        });
        let totals = recorder.totals();
        let calls = totals.calls["fd_write"];
        assert_eq!((calls.times.count, calls.failed), (12, 4));
        assert!(calls.times.longest <= calls.times.total);
        let events = recorder.take_events();
        assert_eq!(events.len(), 12);
        assert!(events.is_sorted_by_key(|event| event.began));
    }

    /// If each thread had capacity of its own, a hundred threads could take all memory. And a full
    /// record must still have the life of its thread, which ends last.
    #[test]
    fn capacity_is_for_all_threads_together() {
        let recorder = Recorder::with_capacity(true, Noting { timed: false }, 2 * PORTION + 100);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    recorder.thread_began(ThreadId::MAIN);
                    for _ in 0..PORTION {
                        let started = recorder.started("fd_write");
                        CallObserver::ended(
                            &recorder,
                            "fd_write",
                            started,
                            CallOutcome::Returned(0),
                        );
                    }
                    recorder.thread_ended(ThreadId::MAIN);
                });
            }
        });
        let events = recorder.take_events();
        let lives = events
            .iter()
            .filter(|event| matches!(event.what, EventKind::Life));
        assert_eq!(lives.count(), 4);
        assert_eq!(events.len(), 2 * PORTION + 100 + 4);
        assert_eq!(recorder.totals().lost, 2 * PORTION as u64 - 100);
    }
}
