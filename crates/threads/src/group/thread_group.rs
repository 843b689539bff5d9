//! The group as its embedder sees it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use wasmtime::{Engine, ExternType, Linker, SharedMemory, Store, Val};

use crate::group::builder::GroupBuilder;
use crate::group::core::Core;
use crate::life::{Life, SpawnFailures, seen};
use crate::memory::host::{HostMemory, HostWaits, Waits};
use crate::module::prepare::ThreadModule;
use crate::module::shape;
use crate::thread::guest_thread::{Entry, Guest, Invocation};
use crate::thread::interrupt;
use crate::types::abi;
use crate::types::backtrace::Backtrace;
use crate::types::end_token::EndToken;
use crate::types::error::RunError;
use crate::types::outcome::Outcome;
use crate::types::report::{self, LeftBehind, Report};
use crate::types::thread_id::ThreadId;
use crate::waits::{BusyAddress, WaitStatistics};

/// How long the supervisor waits before it interrupts again, at first and at most. Only the race
/// described at [`interrupt::arm`] and unprepared modules need a second time.
const AGAIN_FIRST: Duration = Duration::from_millis(1);
const AGAIN_MOST: Duration = Duration::from_millis(250);

/// A group of threads that run one module over one shared memory, and end together.
///
/// Made by [`ThreadGroup::builder`]; runs once. Dropping a group ends it as
/// [`Outcome::Cancelled`] if it has not ended, and blocks until its host threads are gone; all but the
/// calling one, should that be a host function of the group.
pub struct ThreadGroup<T: Send + 'static> {
    pub(crate) core: Arc<Core<T>>,
    /// The main thread's store, until it runs.
    main: Mutex<Option<Store<T>>>,
    memory: Option<SharedMemory>,
    /// Host threads that wait on it inside wasmtime.
    host_waits: Option<Arc<HostWaits>>,
    left_behind: Mutex<Vec<LeftBehind>>,
    pub(super) timeout_report: Mutex<Option<Report>>,
    /// Whether the grace period is over: it is given once.
    out_of_grace: AtomicBool,
    /// Whether threads have been stopped for ever: nothing is waited for or given back any more.
    pub(super) only_to_exit: AtomicBool,
}

impl<T: Send + 'static> ThreadGroup<T> {
    /// Starts to make a group of `module`, whose imports `linker` satisfies, apart from the shared
    /// memory and `wasi.thread-spawn`. All three are of `engine`.
    pub fn builder(engine: &Engine, module: &ThreadModule, linker: Linker<T>) -> GroupBuilder<T> {
        GroupBuilder::new(engine, module, linker)
    }

    pub(crate) fn new(core: Arc<Core<T>>, main: Store<T>, memory: Option<SharedMemory>) -> Self {
        let host_waits = match &memory {
            Some(memory) if !core.linked.waits_reach_group() => {
                Some(HostWaits::new(memory.clone(), core.life.token().clone()))
            }
            _ => None,
        };
        Self {
            core,
            main: Mutex::new(Some(main)),
            memory,
            host_waits,
            left_behind: Mutex::default(),
            timeout_report: Mutex::default(),
            out_of_grace: AtomicBool::new(false),
            only_to_exit: AtomicBool::new(false),
        }
    }

    /// Runs `export`, a function without parameters and results, as the group's main thread, and
    /// returns how the group ended.
    ///
    /// Blocks the calling thread, on which no guest code runs: the main thread has a host thread of its
    /// own, whose stack the group chooses. When it returns, every host thread of the group has been
    /// joined and every store dropped. The return of `export` ends the whole group, as
    /// wasi-threads says.
    ///
    /// # Errors
    ///
    /// See [`RunError`]: no guest code has run then.
    pub fn run(&self, export: &str) -> Result<Outcome, RunError> {
        self.check_export(export)?;
        self.run_entry(Entry::Main {
            export: export.to_owned(),
        })
    }

    /// Instantiates the module, which runs its start function if it has one, and nothing more; returns how the group
    /// ended. In everything else it is [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// See [`RunError`]: no guest code has run then.
    pub fn start(&self) -> Result<Outcome, RunError> {
        self.run_entry(Entry::Start)
    }

    /// Initialises a library (calls `_initialize`, where it is exported) and calls `export` with `params`, as the
    /// group's main thread; returns how the group ended and, if that is [`Outcome::Returned`], what
    /// `export` returned.
    ///
    /// One deadline ([`Limits::timeout`](crate::Limits::timeout)) is for both calls. In everything else it
    /// is [`run`](Self::run). To call exports again and again, see [`into_reactor`](Self::into_reactor).
    ///
    /// # Errors
    ///
    /// See [`RunError`]: no guest code has run then.
    pub fn invoke(&self, export: &str, params: &[Val]) -> Result<(Outcome, Vec<Val>), RunError> {
        self.check_values(export, params)?;
        if export != abi::INITIALIZE {
            self.check_initialize()?;
        }
        let invocation = Arc::new(Invocation {
            export: export.to_owned(),
            params: params.to_vec(),
            results: OnceLock::new(),
        });
        let outcome = self.run_entry(Entry::Invoke(Arc::clone(&invocation)))?;
        let results = match outcome {
            Outcome::Returned => invocation.results.get().cloned(),
            _ => None,
        };
        Ok((outcome, results.unwrap_or_default()))
    }

    /// Runs the main thread, and waits for the end of the group.
    fn run_entry(&self, entry: Entry) -> Result<Outcome, RunError> {
        let core = &self.core;
        let store = self.take_main().ok_or(RunError::AlreadyRan)?;
        let deadline = core
            .limits
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let guest = Guest::with_store(Arc::clone(core), core.life.enter_main(), store, entry);
        core.hosts
            .dispatch(Box::new(move || guest.run()))
            .map_err(|error| {
                core.life.end(Outcome::Cancelled);
                RunError::HostThread(error)
            })?;
        if !core.life.wait_ended(deadline) {
            self.time_out();
            core.life.wait_ended(None);
        }
        match core.life.native() {
            Some(native) if native.freezes() => self.settle(native),
            _ => self.finish(),
        }
        if let Some(error) = core.life.take_failure() {
            return Err(RunError::Instantiate(error));
        }
        // There is one: the wait above ended.
        Ok(core.life.outcome().unwrap_or(Outcome::Cancelled))
    }

    /// The main thread's store, once.
    pub(crate) fn take_main(&self) -> Option<Store<T>> {
        self.main
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Whether `_initialize`, where there is one, can be called.
    pub(crate) fn check_initialize(&self) -> Result<(), RunError> {
        match self.check_export(abi::INITIALIZE) {
            Err(RunError::NoExport(_)) => Ok(()),
            checked => checked,
        }
    }

    /// Whether `export` can be run.
    fn check_export(&self, export: &str) -> Result<(), RunError> {
        let found = |ty: &ExternType| RunError::ExportType {
            name: export.to_owned(),
            found: shape::describe(ty),
        };
        match self.core.module.module().get_export(export) {
            None => Err(RunError::NoExport(export.to_owned())),
            Some(ty) => match ty.func() {
                Some(func) if func.params().len() == 0 && func.results().len() == 0 => Ok(()),
                _ => Err(found(&ty)),
            },
        }
    }

    /// Whether `export` can be called with `params`.
    pub(crate) fn check_values(&self, export: &str, params: &[Val]) -> Result<(), RunError> {
        let ty = self.core.module.module().get_export(export);
        let ty = ty.ok_or_else(|| RunError::NoExport(export.to_owned()))?;
        let (name, found) = (export.to_owned(), shape::describe(&ty));
        match ty.func() {
            None => Err(RunError::ExportType { name, found }),
            Some(func) if shape::has_references(func) => Err(RunError::References { name, found }),
            Some(func) if !shape::fits(func, params) => Err(RunError::Parameters { name, found }),
            Some(_) => Ok(()),
        }
    }

    /// A handle that can end the group from anywhere.
    pub fn handle(&self) -> GroupHandle {
        GroupHandle {
            life: Arc::clone(&self.core.life),
        }
    }

    /// The memory the group's threads share, `None` when the module imports none. It may be read
    /// while the group runs and after it has ended.
    pub fn memory(&self) -> Option<&SharedMemory> {
        self.memory.as_ref()
    }

    /// Waits, notifies, loads and stores on that memory from host code.
    pub fn host_memory(&self) -> Option<HostMemory> {
        let waits = match &self.host_waits {
            Some(theirs) => Waits::Wasmtimes(Arc::clone(theirs)),
            None => Waits::Groups(Arc::clone(self.core.life.lot())),
        };
        let watch = self.core.life.watch().cloned();
        Some(HostMemory::new(self.memory.clone()?, waits, watch))
    }

    /// Totals of the guest's waits and notifies; all zero for an unprepared module.
    pub fn wait_statistics(&self) -> WaitStatistics {
        self.core.life.lot().statistics()
    }

    /// Starts to keep the `capacity` addresses that are waited on most, from nothing; 0 stops. While it is on, each wait
    /// takes one lock more.
    pub fn track_busiest_waits(&self, capacity: usize) {
        self.core.life.lot().track_busiest(capacity);
    }

    /// The addresses waited on most since [`track_busiest_waits`](Self::track_busiest_waits), busiest first. They are the
    /// host's: [`offset_of`](crate::memory::offset_of) makes them the guest's.
    pub fn busiest_waits(&self) -> Vec<BusyAddress> {
        self.core.life.lot().busiest()
    }

    /// Threads that were still in host code when [`GroupBuilder::grace`] was over; empty before the end,
    /// and whenever every thread was joined.
    pub fn left_behind(&self) -> Vec<LeftBehind> {
        self.left_behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the threads were doing when the time limit passed: with
    /// [`GroupBuilder::report_at_timeout`](crate::GroupBuilder::report_at_timeout), and if the limit did.
    pub fn timeout_report(&self) -> Option<Report> {
        self.timeout_report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where in the guest's program a trap happened: [`Outcome::backtrace`] without the frames of functions that
    /// [`prepare`](crate::prepare()) appended. `outcome` is this group's.
    pub fn backtrace_of(&self, outcome: &Outcome) -> Option<Backtrace> {
        match outcome {
            Outcome::Trapped { error, .. } => Backtrace::of_error(error, self.core.life.appended()),
            _ => None,
        }
    }

    /// Failed calls of `thread-spawn` so far.
    pub fn spawn_failures(&self) -> SpawnFailures {
        self.core.life.spawn_failures()
    }

    /// Fuel that no thread holds; after the end, what was not consumed. `None` without
    /// [`Limits::fuel`](crate::Limits::fuel).
    pub fn fuel_left(&self) -> Option<u64> {
        self.core.stores.fuel().map(|fuel| fuel.left())
    }
}

impl<T: Send + 'static> ThreadGroup<T> {
    /// Waits for every host thread of the ended group, and joins it, at most for the grace period; drops
    /// what was made ahead.
    pub(crate) fn finish(&self) {
        self.join();
        self.core.stock.clear();
        if let Some(waits) = &self.host_waits {
            waits.end();
        }
    }

    /// Interrupts the threads of the ended group again and again, until `gone`, which blocks for the time it is
    /// given at most; false if the grace period was over first.
    pub(crate) fn supervise(&self, mut gone: impl FnMut(Duration) -> bool) -> bool {
        let life = &self.core.life;
        let mut wait = AGAIN_FIRST;
        let now = Instant::now();
        let mut again = now + wait;
        let give_up = match self.out_of_grace.load(Ordering::Relaxed) {
            true => Some(now),
            false => self.core.grace.and_then(|grace| now.checked_add(grace)),
        };
        loop {
            let next = give_up.map_or(again, |give_up| give_up.min(again));
            if gone(next.saturating_duration_since(Instant::now())) {
                return true;
            }
            let now = Instant::now();
            let over = |now| give_up.is_some_and(|give_up| now >= give_up);
            if now < again && !over(now) {
                continue;
            }
            // Once at least, however short the grace period is.
            life.interrupt();
            if over(now) {
                self.out_of_grace.store(true, Ordering::Relaxed);
                return gone(AGAIN_FIRST);
            }
            if !self.core.linked.waits_reach_group() {
                let own = self.core.own_memories.all();
                for memory in self.core.memories.iter().chain(&own) {
                    interrupt::sweep(memory, || gone(Duration::ZERO) || over(Instant::now()));
                }
            }
            wait = (wait * 2).min(AGAIN_MOST);
            again = Instant::now() + wait;
        }
    }

    fn join(&self) {
        let hosts = &self.core.hosts;
        let life = &self.core.life;
        hosts.close();
        let _waits = hosts.waits_for_others();
        if self.supervise(|wait| hosts.join_ended(wait)) {
            return;
        }
        let left = life
            .records()
            .iter()
            // Nor is one left behind that has not run.
            .filter(|record| !record.is_idle() && record.has_begun())
            .map(|record| LeftBehind {
                thread: record.id(),
                host_call: record.host_call().map(|(name, _)| name),
            })
            .collect();
        self.leave_behind(left);
    }

    pub(super) fn leave_behind(&self, left: Vec<LeftBehind>) {
        *self
            .left_behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = left;
    }
}

impl<T: Send + 'static> Drop for ThreadGroup<T> {
    fn drop(&mut self) {
        if self.only_to_exit.load(Ordering::Relaxed) {
            return;
        }
        self.core.life.end(Outcome::Cancelled);
        self.finish();
    }
}

impl<T: Send + 'static> fmt::Debug for ThreadGroup<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadGroup")
            .field("threads", &self.core.life.threads())
            .field("outcome", &self.core.life.outcome())
            .finish_non_exhaustive()
    }
}

/// Ends a group from anywhere: a signal handler's thread, a request that was dropped, a deadline of
/// the embedder's own. Cheap to clone; does not keep the group's threads or memory alive.
#[derive(Clone)]
pub struct GroupHandle {
    life: Arc<Life>,
}

impl GroupHandle {
    /// Ends the group as [`Outcome::Cancelled`]; true when this call ended it, false when it had ended.
    /// Does not wait for its threads: [`ThreadGroup::run`] does.
    pub fn cancel(&self) -> bool {
        self.life.end(Outcome::Cancelled)
    }

    /// Whether the group has ended.
    pub fn is_ended(&self) -> bool {
        self.life.token().is_ended()
    }

    /// How the group ended, `None` while it has not.
    pub fn outcome(&self) -> Option<Outcome> {
        self.life.outcome()
    }

    /// What every thread is doing. Blocks for at most about `patience`: threads that wait or run wasm answer
    /// themselves, at once if the engine has epochs; one that has not answered by then is reported as in
    /// a host call. Interrupts running wasm, and lets it go on.
    ///
    /// With [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads) nobody is interrupted but by a signal, and
    /// nobody has to answer: threads in host calls have backtraces, too, and those that have not begun to run are left out.
    pub fn report(&self, patience: Duration) -> Report {
        self.report_of(usize::MAX, patience)
    }

    /// [`report`](Self::report) that describes `most` threads, those with the lowest ids, and counts the others. Only with
    /// [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads); without, it describes all.
    pub fn report_of(&self, most: usize, patience: Duration) -> Report {
        match self.life.native() {
            Some(native) => seen::report(&self.life, native, most, patience),
            None => report::take(&self.life, patience),
        }
    }

    /// Ids of the threads that have not ended, in order.
    pub fn threads(&self) -> Vec<ThreadId> {
        self.life.threads()
    }

    /// The token host functions watch.
    pub fn token(&self) -> EndToken {
        self.life.token().clone()
    }
}

impl fmt::Debug for GroupHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupHandle")
            .field("ended", &self.is_ended())
            .finish_non_exhaustive()
    }
}
