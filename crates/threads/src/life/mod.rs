//! The life of a group: who is in it, how it ended, and the one place where it ends.
//!
//! Nothing here knows wasm or the embedder's store data. `DESIGN.md` has the states, the lock order
//! and the races; in short: [`Life::end`] sets the outcome once, under the lock, and only the
//! caller that set it goes on to reach the threads.

mod slot;
mod stuck;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{Engine, Error, SharedMemory};

use crate::host::panics::caught;
use crate::memory::words::reach;
use crate::thread::interrupt::Unwinding;
use crate::types::backtrace::Appended;
use crate::types::end_token::{self, EndToken};
use crate::types::outcome::Outcome;
use crate::types::thread_id::{ThreadId, Tids};
use crate::waits::ParkingLot;
use crate::watch::observer::Watch;
use crate::watch::record::ThreadRecord;

pub(crate) use slot::Slot;
pub use slot::SpawnFailures;

/// How long the backtraces of a deadlock are waited for. They come from threads that do nothing else, so
/// only a host without processor time for them gets here.
const DEADLOCK_REPORTS: Duration = Duration::from_millis(500);

/// A hook that runs once, when the group ends.
pub(crate) type OnEnd = Box<dyn Fn() + Send + Sync>;

/// What every thread of a group shares, apart from its code and the embedder's data.
pub(crate) struct Life {
    engine: Engine,
    unwinding: Arc<Unwinding>,
    /// Whether ending interrupts running wasm.
    epochs: bool,
    /// Read by every epoch callback, by host functions, by spawns.
    token: EndToken,
    state: Mutex<State>,
    /// The supervisor waits here: for the outcome.
    changed: Condvar,
    /// Spawns at the limit of live threads wait here for one to leave.
    slot_free: Condvar,
    on_end: Vec<OnEnd>,
    /// Who watches the group.
    watch: Option<Arc<Watch>>,
    /// Where the group's threads wait.
    lot: Arc<ParkingLot>,
    /// Where the group's memories are, to turn host addresses into guest addresses. Set once, by the builder. A
    /// handle to the group keeps this, and must not keep the memories.
    memories: OnceLock<Vec<Range<usize>>>,
    /// To tell the guest's frames in a backtrace from others. Set once, by the builder.
    appended: OnceLock<Arc<Appended>>,
    /// Set once everything the end does has been done.
    reached: AtomicBool,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    /// Stuck threads whose backtrace is outstanding; `None` when none is, or nobody waits for it.
    unreported: Option<usize>,
    /// Why nothing ran, when the main instance could not be made.
    failure: Option<Error>,
    /// Threads started by the guest and not ended yet.
    alive: u32,
    /// Threads ever started by the guest.
    ever: u64,
    tids: Tids,
    threads: HashMap<ThreadId, Arc<ThreadRecord>>,
    spawn_failures: SpawnFailures,
    /// Spawns that wait at the limit. A notification costs a system call even where nobody waits.
    at_limit: u32,
}

impl Life {
    pub(crate) fn new(
        engine: &Engine,
        epochs: bool,
        lot: Arc<ParkingLot>,
        on_end: Vec<OnEnd>,
        watch: Option<Arc<Watch>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: engine.clone(),
            unwinding: Arc::new(Unwinding::new(engine)),
            epochs,
            token: EndToken::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            slot_free: Condvar::new(),
            on_end,
            watch,
            lot,
            memories: OnceLock::new(),
            appended: OnceLock::new(),
            reached: AtomicBool::new(false),
        })
    }

    pub(crate) fn token(&self) -> &EndToken {
        &self.token
    }

    /// Whether the group has ended, for a thread that is about to enter wasm.
    ///
    /// The fence pairs with the one in [`interrupt`](Self::interrupt): a thread whose epoch deadline was
    /// computed from an epoch after the end's increment sees the end here.
    pub(crate) fn is_ended(&self) -> bool {
        fence(Ordering::SeqCst);
        self.token.is_ended()
    }

    /// The error by which a thread of the ended group is unwound.
    pub(crate) fn unwinding(&self) -> Error {
        self.unwinding.error()
    }

    pub(crate) fn errors(&self) -> &Arc<Unwinding> {
        &self.unwinding
    }

    pub(crate) fn has_epochs(&self) -> bool {
        self.epochs
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.lock().outcome.clone()
    }

    /// Ends the group. The first cause wins; true for the caller that gave it, who has reached every
    /// thread when this returns. Callers hold no lock of the group.
    pub(crate) fn end(&self, outcome: Outcome) -> bool {
        let first = {
            let mut state = self.lock();
            if state.outcome.is_none() {
                state.outcome = Some(outcome);
                true
            } else if state.unreported.take().is_some() {
                // Stuck threads are taking their backtraces. Whoever wants an end does not wait for them: some may have been
                // woken from outside, and never give one.
                false
            } else {
                return false;
            }
        };
        self.reach();
        first
    }

    /// Reaches every thread of a group that has its outcome, in this order: flag, waits, epoch,
    /// condition variables, wakers, the embedder's hooks. Called once. Blocks for no thread of the group.
    fn reach(&self) {
        let wakers = self.token.flag();
        self.lot.end();
        self.interrupt();
        self.slot_free.notify_all();
        wakers.into_iter().flatten().for_each(end_token::wake);
        for hook in &self.on_end {
            // A hook that panics must not keep the others, or the end, from happening.
            caught(hook);
        }
        if let Some(watch) = &self.watch {
            let outcome = self.outcome().unwrap_or(Outcome::Cancelled);
            caught(|| watch.observer().ended(&outcome));
        }
        self.reached.store(true, Ordering::Release);
        self.tell();
    }

    pub(crate) fn set_memories(&self, memories: &[SharedMemory]) {
        // Called once.
        let _ = self.memories.set(memories.iter().map(reach).collect());
    }

    pub(crate) fn set_appended(&self, appended: Appended) {
        // Called once.
        let _ = self.appended.set(Arc::new(appended));
    }

    pub(crate) fn appended(&self) -> &Arc<Appended> {
        self.appended.get_or_init(Arc::default)
    }

    pub(crate) fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    pub(crate) fn lot(&self) -> &Arc<ParkingLot> {
        &self.lot
    }

    /// Ends a group whose main instance could not be made.
    pub(crate) fn fail(&self, error: Error) {
        {
            let mut state = self.lock();
            if state.outcome.is_none() && state.failure.is_none() {
                state.failure = Some(error);
            }
        }
        self.end(Outcome::Cancelled);
    }

    /// Why nothing ran, if that is what happened.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }

    /// Sends running wasm into its epoch callback. The end has been flagged before.
    pub(crate) fn interrupt(&self) {
        if self.epochs {
            fence(Ordering::SeqCst);
            self.engine.increment_epoch();
        }
    }

    /// Blocks until the group has ended and its threads have been told, or `deadline` passes; true
    /// when it has ended.
    pub(crate) fn wait_ended(&self, deadline: Option<Instant>) -> bool {
        self.wait_ended_unless(deadline, || false).unwrap_or(true)
    }

    /// [`wait_ended`](Self::wait_ended), or until `done`; `None` then. Whoever makes that true calls [`tell`](Self::tell).
    pub(crate) fn wait_ended_unless(
        &self,
        deadline: Option<Instant>,
        mut done: impl FnMut() -> bool,
    ) -> Option<bool> {
        let mut state = self.lock();
        let mut reports_until = None;
        loop {
            if done() {
                return None;
            }
            let until = if state.outcome.is_none() {
                deadline
            } else if self.reached.load(Ordering::Acquire) {
                return Some(true);
            } else if state.unreported.is_some() {
                Some(*reports_until.get_or_insert_with(|| Instant::now() + DEADLOCK_REPORTS))
            } else {
                // Whoever gave the outcome is telling the threads, which is not timed.
                None
            };
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_none_or(|left| !left.is_zero()) {
                state = wait(&self.changed, state, left);
            } else if state.outcome.is_none() {
                return Some(false);
            } else {
                // A stuck thread did not answer: end without its backtrace.
                state.unreported = None;
                drop(state);
                self.reach();
                return Some(true);
            }
        }
    }

    /// Blocks until `done`, for `patience` at most; whether it is.
    pub(crate) fn wait_done(&self, patience: Duration, mut done: impl FnMut() -> bool) -> bool {
        let deadline = Instant::now().checked_add(patience);
        let mut state = self.lock();
        loop {
            if done() {
                return true;
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            state = wait(&self.changed, state, left);
        }
    }

    /// Lets those look again who wait for something to be done.
    pub(crate) fn tell(&self) {
        // Their check and their wait are one step under this lock.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// The threads that have not ended, in the order of their ids.
    pub(crate) fn records(&self) -> Vec<Arc<ThreadRecord>> {
        let mut records: Vec<_> = self.lock().threads.values().cloned().collect();
        records.sort_unstable_by_key(|record| record.id());
        records
    }

    /// Ids of the threads that have not ended, in order.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        let mut ids: Vec<_> = self.lock().threads.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits on `condition`, for `left` at most.
fn wait<'a>(
    condition: &Condvar,
    state: MutexGuard<'a, State>,
    left: Option<Duration>,
) -> MutexGuard<'a, State> {
    let poisoned = PoisonError::into_inner;
    match left {
        None => condition.wait(state).unwrap_or_else(poisoned),
        Some(left) => {
            let waited = condition.wait_timeout(state, left);
            waited.unwrap_or_else(PoisonError::into_inner).0
        }
    }
}
