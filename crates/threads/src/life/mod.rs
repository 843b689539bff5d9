//! The life of a group: its threads, how it ended, and the one place where it ends.
//!
//! Nothing here knows wasm or the embedder's store data. [`Life::end`] claims the outcome, by one
//! atomic word, and only its claimer reaches the threads. `DESIGN.md` has the states and the races.

mod claim;
pub(crate) mod gather_report;
pub(crate) mod handle;
pub(crate) mod held_place;
mod native;
mod places;
mod profiler;
pub(crate) mod profiling;
pub(crate) mod reserved_id;
mod scheduled;
pub(crate) mod seen;
mod stuck;
pub(crate) mod unwinding;
mod wait;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use wasmtime::{Engine, Error, SharedMemory};

use crate::host::panics::caught;
use crate::memory::words::reach;
use crate::sys::bell::Bell;
use crate::sys::running;
use crate::types::backtrace::Appended;
use crate::types::counts::SpawnFailures;
use crate::types::end_token::{self, EndToken};
use crate::types::outcome::Outcome;
use crate::types::thread_id::{ThreadId, Tids};
use crate::waits::ParkingLot;
use crate::watch::observer::Watch;
use crate::watch::record::ThreadRecord;

use self::claim::{Claim, Claimed};
pub(crate) use self::native::Native;
use self::places::Places;
use self::scheduled::Followed;
use self::stuck::Asked;
use self::unwinding::Unwinding;

/// A hook that runs once, when the group ends.
pub(crate) type OnEnd = Box<dyn Fn() + Send + Sync>;

/// What every thread of a group shares, apart from its code and the embedder's data.
pub(crate) struct Life {
    engine: Engine,
    unwinding: Arc<Unwinding>,
    /// Whether ending interrupts running wasm by the engine's epoch.
    epochs: bool,
    /// Every epoch callback, host function and spawn reads it.
    token: EndToken,
    /// Which cause is the outcome.
    claim: Claim,
    /// Set by the thread that claimed it, before others are told.
    outcome: OnceLock<Outcome>,
    /// The stuck threads that are asked where they are.
    asked: OnceLock<Asked>,
    /// Why nothing ran, when the main instance could not be made.
    failure: Mutex<Option<Error>>,
    /// How many threads there are, and may be.
    places: Places,
    threads: Mutex<Threads>,
    spawn_failures: Mutex<SpawnFailures>,
    /// Rung for the supervisor: there is an outcome, all were told, what it waits for is done.
    changed: Bell,
    on_end: Vec<OnEnd>,
    /// The observer of the group.
    watch: Option<Arc<Watch>>,
    /// Where the group's threads wait.
    lot: Arc<ParkingLot>,
    /// The host calls that threads note by number.
    call_names: &'static [&'static str],
    /// Where the group's memories are, to turn host addresses into guest addresses. Set once, by
    /// the builder. A handle to the group keeps this, and must not keep the memories.
    memories: OnceLock<Vec<Range<usize>>>,
    /// The functions that the rewrite appended. Set once, by the builder.
    appended: OnceLock<Arc<Appended>>,
    /// How running threads are seen and stopped without epochs, if wanted. Set once, by the
    /// builder.
    native: OnceLock<Native>,
    /// Whose turn it is, if threads run one at a time, and what is told of accesses.
    followed: Followed,
    /// Set once the end has reached every thread.
    reached: AtomicBool,
    /// Set once the thread that ended the group is done with the end.
    concluded: AtomicBool,
}

/// The threads that hold a place. The lock is taken by threads that spawn, end or list them; not by
/// an end.
#[derive(Default)]
struct Threads {
    tids: Tids,
    records: HashMap<ThreadId, Arc<ThreadRecord>>,
    /// The most that there were at once.
    most: u32,
}

impl Life {
    pub(crate) fn new(
        engine: &Engine,
        epochs: bool,
        lot: Arc<ParkingLot>,
        on_end: Vec<OnEnd>,
        watch: Option<Arc<Watch>>,
        call_names: &'static [&'static str],
    ) -> Arc<Self> {
        Arc::new(Self {
            engine: engine.clone(),
            unwinding: Arc::new(Unwinding::new(engine)),
            epochs,
            token: EndToken::default(),
            claim: Claim::new(),
            outcome: OnceLock::new(),
            asked: OnceLock::new(),
            failure: Mutex::default(),
            places: Places::default(),
            threads: Mutex::default(),
            spawn_failures: Mutex::default(),
            changed: Bell::default(),
            on_end,
            watch,
            lot,
            call_names,
            memories: OnceLock::new(),
            appended: OnceLock::new(),
            native: OnceLock::new(),
            followed: Followed::default(),
            reached: AtomicBool::new(false),
            concluded: AtomicBool::new(false),
        })
    }

    pub(crate) fn token(&self) -> &EndToken {
        &self.token
    }

    /// Whether the group has ended, for a thread that is about to enter wasm.
    ///
    /// The fence pairs with the one in [`interrupt`](Self::interrupt): a thread whose epoch
    /// deadline was computed from an epoch after the end's increment sees the end here.
    pub(crate) fn is_ended(&self) -> bool {
        fence(Ordering::SeqCst);
        self.token.is_ended()
    }

    /// Counts a thread that is about to run the guest's code. False if the outcome was claimed
    /// before: then the thread must not run.
    pub(crate) fn start(&self) -> bool {
        self.claim.step()
    }

    /// Stops the calling host thread of an ended group for ever, if no thread joins it.
    pub(crate) fn rest(&self) {
        if self.native().is_some_and(Native::freezes) {
            running::hold();
        }
    }

    /// The error that unwinds a thread of the ended group.
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
        self.outcome.get().cloned()
    }

    /// Ends the group. The first cause wins; true for the caller that gave it, which has reached
    /// every thread when this returns. Callers hold no lock of the group.
    pub(crate) fn end(&self, outcome: Outcome) -> bool {
        self.end_then(outcome, || ())
    }

    /// [`end`](Self::end), and then `after` for the caller that gave the cause. An end that does
    /// not join waits until `after` is done.
    pub(crate) fn end_then(&self, outcome: Outcome, after: impl FnOnce()) -> bool {
        let Some(decided) = self.decide(outcome) else {
            return false;
        };
        let first = decided.first;
        self.reach(decided);
        if first {
            after();
        }
        self.concluded.store(true, Ordering::Release);
        self.tell();
        first
    }

    /// Claims the outcome, and stops threads that run wasm; `None` if the group had its outcome.
    /// Takes no lock that a thread of the guest can hold.
    pub(crate) fn decide(&self, outcome: Outcome) -> Option<Decided> {
        self.claim(outcome).map(|claimed| self.stop(&claimed))
    }

    /// Claims the outcome: no thread starts from here on, and those that run go on until they are
    /// stopped. `None` if the group had its outcome.
    pub(crate) fn claim(&self, outcome: Outcome) -> Option<Won> {
        let (first, started) = match self.claim.claim() {
            Claimed::Late { steps } => {
                // The thread that claimed may have lost its processor to those that it is about to
                // stop.
                self.stop_running(steps > 0);
                return None;
            }
            Claimed::First { steps } => (true, steps > 0),
            // Stuck threads are taking their backtraces. The end does not wait for them: some may
            // have been woken from outside, and never give one.
            Claimed::Asking => (self.asked.get().is_none(), true),
        };
        let outcome = match self.asked.get() {
            Some(asked) if !first => asked.outcome(),
            _ => outcome,
        };
        // Set only here, by the one thread that claimed.
        let _ = self.outcome.set(outcome);
        Some(Won { first, started })
    }

    /// Stops threads that run wasm. Called by the thread that claimed the outcome.
    pub(crate) fn stop(&self, won: &Won) -> Decided {
        let wakers = self.token.flag();
        self.interrupt();
        self.stop_running(won.started);
        Decided {
            first: won.first,
            wakers,
        }
    }

    /// Stops threads that run wasm where they are, once, if that is how the group ends.
    fn stop_running(&self, started: bool) {
        if started
            && let Some(native) = self.native.get()
            && !native.is_protected()
        {
            native.stop();
        }
    }

    /// Reaches every thread of a group that has its outcome, whose running wasm has been
    /// interrupted, in this order: spawns at the limit, waits, host functions that watch the token,
    /// the embedder's hooks. Called once. Blocks for no thread of the group.
    pub(crate) fn reach(&self, decided: Decided) {
        self.places.free.ring();
        self.lot.end();
        if let Some(turns) = self.turns() {
            turns.end();
        }
        self.token.ring();
        decided.wakers.into_iter().for_each(end_token::wake);
        for hook in &self.on_end {
            // A panic of one hook must not stop the other hooks, or the end.
            caught(hook);
        }
        if let Some(watch) = &self.watch {
            let outcome = self.outcome().unwrap_or(Outcome::Cancelled);
            caught(|| watch.observer().ended(&outcome));
        }
        self.reached.store(true, Ordering::Release);
        self.tell();
    }

    /// Notes that the caller of [`decide`](Self::decide) is done with the end.
    pub(crate) fn conclude(&self) {
        self.concluded.store(true, Ordering::Release);
        self.tell();
    }

    /// Whether the thread that ended the group is done with the end.
    pub(crate) fn is_concluded(&self) -> bool {
        self.concluded.load(Ordering::Acquire)
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

    pub(crate) fn set_native(&self, native: Native) {
        // Called once.
        let _ = self.native.set(native);
    }

    /// How running threads are seen without epochs, if that is wanted.
    pub(crate) fn native(&self) -> Option<&Native> {
        self.native.get()
    }

    /// The name of the host call that threads note by this number.
    pub(crate) fn call_name(&self, number: u16) -> Option<&'static str> {
        let index = usize::from(number).checked_sub(1)?;
        self.call_names.get(index).copied()
    }

    pub(crate) fn watch(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref()
    }

    pub(crate) fn lot(&self) -> &Arc<ParkingLot> {
        &self.lot
    }

    /// Ends a group whose main instance could not be made.
    pub(crate) fn fail(&self, error: Error) {
        // Only if this ended the group: another outcome stands.
        self.end_then(Outcome::Cancelled, || {
            self.failure().get_or_insert(error);
        });
    }

    /// Why nothing ran, if that is what happened.
    pub(crate) fn take_failure(&self) -> Option<Error> {
        self.failure().take()
    }

    fn failure(&self) -> MutexGuard<'_, Option<Error>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends running wasm into its epoch callback. The flag of the end is set before.
    pub(crate) fn interrupt(&self) {
        if self.epochs {
            fence(Ordering::SeqCst);
            self.engine.increment_epoch();
        }
    }

    /// Wakes threads that wait for something to be done, so that they look again.
    pub(crate) fn tell(&self) {
        self.changed.ring();
    }

    /// The threads that have not ended, in the order of their ids.
    pub(crate) fn records(&self) -> Vec<Arc<ThreadRecord>> {
        let mut records: Vec<_> = self.list().records.values().cloned().collect();
        records.sort_unstable_by_key(|record| record.id());
        records
    }

    /// Ids of the threads that have not ended, in order.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        let mut ids: Vec<_> = self.list().records.keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn list(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outcome is claimed. Threads run on.
#[must_use = "threads have to be stopped"]
pub(crate) struct Won {
    /// Whether the caller's cause is the outcome.
    first: bool,
    /// Whether threads of the guest have been started.
    started: bool,
}

impl Won {
    /// Whether the caller's cause is the outcome. Otherwise a deadlock is, which was found before.
    pub(crate) fn is_first(&self) -> bool {
        self.first
    }
}

/// The outcome is claimed, threads that run wasm are stopped, and no other threads have been told.
#[must_use = "the others have to be told"]
pub(crate) struct Decided {
    /// Whether the caller's cause is the outcome.
    pub(crate) first: bool,
    wakers: end_token::Wakers,
}
