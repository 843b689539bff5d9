//! What a group tells its observer: threads, waits, wake-ups, the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::types::abi::MAX_TID;
use crate::types::error::SpawnError;
use crate::types::outcome::Outcome;
use crate::types::thread_id::ThreadId;
use crate::waits::{WaitOutcome, Width};

/// Watches a group: for a timeline, for statistics.
///
/// Given to [`GroupBuilder::observer`](crate::GroupBuilder::observer). Every method does nothing by
/// default. Each is called on the thread that causes the event, with no lock of the group held.
/// That thread goes on when the method returns, so a slow method makes the guest slow. Different
/// threads call at the same time. A method does not write to the group's memory, and notifies no
/// thread.
///
/// Events of different threads may overtake one another: a thread may begin before its parent's
/// `spawned` is called, and a woken thread may go on before its waker's `notified` is. The times in
/// the events tell what came first, and the [`NotifyId`] tells what belongs together.
///
/// A panic in a method counts as one of host code: it ends the group as [`Outcome::Panicked`],
/// except in [`ended`](Observer::ended) and [`host_call_ended`](Observer::host_call_ended), where
/// it is caught and forgotten.
///
/// Waits and notifies of an unprepared module happen inside Wasmtime, and cause no event.
pub trait Observer: Send + Sync {
    /// The guest started a thread: `thread-spawn` is about to return its id.
    fn spawned(&self, spawn: &Spawn) {
        let _ = spawn;
    }

    /// `thread-spawn` is about to return a negative result.
    fn spawn_failed(&self, failure: &FailedSpawn<'_>) {
        let _ = failure;
    }

    /// The thread's life begins, on its own host thread, inside of
    /// [`around_thread`](crate::GroupBuilder::around_thread). For the main instance of a
    /// [`Reactor`](crate::Reactor), a call begins.
    fn thread_began(&self, thread: ThreadId) {
        let _ = thread;
    }

    /// The thread's life is over, for whatever reason. No other thread gets its id before this
    /// returns.
    fn thread_ended(&self, thread: ThreadId) {
        let _ = thread;
    }

    /// The thread comes to a `memory.atomic.wait`. The value is not compared yet. Followed by one
    /// [`wait_ended`](Observer::wait_ended) of the same thread.
    fn wait_began(&self, wait: &Wait) {
        let _ = wait;
    }

    /// The wait is over.
    fn wait_ended(&self, wait: &Wait, end: WaitEnd) {
        let _ = (wait, end);
    }

    /// A thread, or host code, did a notify on the group's memory, whether or not a thread waited
    /// there.
    fn notified(&self, notify: &Notify<'_>) {
        let _ = notify;
    }

    /// The thread enters a host call whose name is told by [`host_call`](crate::host_call).
    fn host_call_began(&self, thread: ThreadId, name: &'static str) {
        let _ = (thread, name);
    }

    /// The thread leaves that host call. Calls nest.
    fn host_call_ended(&self, thread: ThreadId, name: &'static str) {
        let _ = (thread, name);
    }

    /// The group has its outcome, and its threads have been told to end. Called on the thread that
    /// ended the group. Other threads may still be ending: this is not the last event.
    fn ended(&self, outcome: &Outcome) {
        let _ = outcome;
    }
}

/// A thread was started.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spawn {
    /// The new thread.
    pub thread: ThreadId,
    /// The thread that started it; the main one, if the host did
    /// ([`ThreadGroup::spawn`](crate::ThreadGroup::spawn)).
    pub parent: ThreadId,
    /// When the call of `thread-spawn` began.
    pub began: Instant,
    /// How long the call took, with the wait at the limit of threads.
    pub took: Duration,
    /// Whether the thread got an instance made ahead (see
    /// [`Pool::prewarmed`](crate::Pool::prewarmed)).
    pub made_ahead: bool,
}

/// A thread was not started.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FailedSpawn<'a> {
    /// The thread that asked for it; the main one, if the host did.
    pub parent: ThreadId,
    /// When the call of `thread-spawn` began.
    pub began: Instant,
    /// How long the call took.
    pub took: Duration,
    /// Why it failed.
    pub error: &'a SpawnError,
}

/// A `memory.atomic.wait32` or `wait64`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Wait {
    /// The thread that waits.
    pub thread: ThreadId,
    /// The memory, counted as in [`WaitingThread::memory`](crate::WaitingThread::memory).
    pub memory: Option<usize>,
    /// The guest's address of the word, offset included.
    pub address: u64,
    /// The width of the word.
    pub width: Width,
    /// For how long at most; `None` for ever.
    pub timeout: Option<Duration>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitEnd {
    /// A notify woke the thread.
    Woken {
        /// The thread that notified; `None` for host code that is no thread of the group.
        by: Option<ThreadId>,
        /// Which notify; `None` when it did not come through the guest or a
        /// [`HostMemory`](crate::HostMemory).
        notify: Option<NotifyId>,
    },
    /// The word held another value.
    NotEqual,
    /// The timeout passed.
    TimedOut,
    /// The group has ended.
    Ended,
}

/// Identifies a notify of a group: a wait that was woken names the notify that woke it.
///
/// Unique among 2^32 notifies of a group in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NotifyId(u32);

impl NotifyId {
    /// The id as a number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// A `memory.atomic.notify`, or a [`HostMemory::notify`](crate::HostMemory::notify).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Notify<'a> {
    /// The thread that notified; `None` for host code that is no thread of the group.
    pub thread: Option<ThreadId>,
    /// Which notify this is.
    pub id: NotifyId,
    /// The memory, counted as in [`WaitingThread::memory`](crate::WaitingThread::memory).
    pub memory: Option<usize>,
    /// The guest's address of the word, offset included.
    pub address: u64,
    /// When it was done, before any thread was woken.
    pub at: Instant,
    /// How many were to be woken at most.
    pub count: u32,
    /// How many were woken.
    pub woken: u32,
    /// Which threads of the group were woken, in the order in which they had begun to wait. Host
    /// threads among the woken are not here.
    pub threads: &'a [ThreadId],
}

/// The observer of a group, and the number of its last notify.
pub(crate) struct Watch {
    observer: Arc<dyn Observer>,
    notifies: AtomicU32,
}

impl Watch {
    pub(crate) fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            notifies: AtomicU32::new(0),
        }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Does `wait` of `thread`, and tells the observer. `tag` is what the notify that woke it has
    /// left. `wait` is as the guest gave it, `timeout_ns` included.
    pub(crate) fn wait(
        &self,
        thread: ThreadId,
        tag: impl FnOnce() -> u64,
        (memory, address): (Option<usize>, u64),
        width: Width,
        timeout_ns: i64,
        wait: impl FnOnce() -> WaitOutcome,
    ) -> WaitOutcome {
        let told = Wait {
            thread,
            memory,
            address,
            width,
            timeout: u64::try_from(timeout_ns).ok().map(Duration::from_nanos),
        };
        self.observer.wait_began(&told);
        let outcome = wait();
        let end = match outcome {
            WaitOutcome::Woken => woken(tag()),
            WaitOutcome::NotEqual => WaitEnd::NotEqual,
            WaitOutcome::TimedOut => WaitEnd::TimedOut,
            WaitOutcome::Ended => WaitEnd::Ended,
        };
        self.observer.wait_ended(&told, end);
        outcome
    }

    /// Does `notify` of `thread`, and tells the observer. `thread` is `None` for host code that is
    /// no thread of the group. `notify` takes a tag and names each thread it wakes.
    pub(crate) fn notify(
        &self,
        thread: Option<ThreadId>,
        (memory, address): (Option<usize>, u64),
        count: u32,
        notify: impl FnOnce(u64, &mut dyn FnMut(u32)) -> u32,
    ) -> u32 {
        let id = self.notifies.fetch_add(1, Ordering::Relaxed);
        let at = Instant::now();
        let mut threads = Vec::new();
        let woken = notify(tag(thread, id), &mut |number| {
            // Host threads wait under a number that is no thread's.
            if number <= MAX_TID {
                threads.push(ThreadId::of_lot(number));
            }
        });
        self.observer.notified(&Notify {
            thread,
            id: NotifyId(id),
            memory,
            address,
            at,
            count,
            woken,
            threads: &threads,
        });
        woken
    }
}

/// The upper half of a tag of host code. For a thread it is the id plus 1, which is less.
const HOST: u32 = u32::MAX;

/// What a waker leaves for the threads it wakes. Never 0, which stands for no tag.
fn tag(by: Option<ThreadId>, id: u32) -> u64 {
    let by = by.map_or(HOST, |by| by.get() + 1);
    u64::from(by) << 32 | u64::from(id)
}

/// How a wait ended that got this tag.
fn woken(tag: u64) -> WaitEnd {
    let (by, id) = ((tag >> 32) as u32, tag as u32);
    WaitEnd::Woken {
        by: match by {
            0 | HOST => None,
            by => Some(ThreadId::of_lot(by - 1)),
        },
        notify: (by != 0).then_some(NotifyId(id)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_who_and_which() {
        for by in [None, Some(ThreadId::MAIN), Some(ThreadId::of_lot(MAX_TID))] {
            for id in [0, 7, u32::MAX] {
                let notify = Some(NotifyId(id));
                assert_ne!(tag(by, id), 0);
                assert_eq!(woken(tag(by, id)), WaitEnd::Woken { by, notify });
            }
        }
        let (by, notify) = (None, None);
        assert_eq!(woken(0), WaitEnd::Woken { by, notify });
    }
}
