//! The group: what its embedder runs, and asks about it.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use wasmtime::{ExternType, SharedMemory, Val};

use crate::group::core::Core;
use crate::life::Native;
use crate::life::handle::GroupHandle;
use crate::memory::host::HostMemory;
use crate::memory::words;
use crate::module::extern_type;
use crate::schedule::{Mix, ScheduleTrace};
use crate::sys::running;
use crate::thread::entry_point::{EntryPoint, Invocation};
use crate::thread::guest_thread::Guest;
use crate::thread::thread_store::ThreadStore;
use crate::types::abi;
use crate::types::backtrace::Backtrace;
use crate::types::counts::{SpawnFailures, ThreadCounts};
use crate::types::error::RunError;
use crate::types::outcome::Outcome;
use crate::types::report::{LeftBehind, Report};
use crate::types::thread_id::ThreadId;
use crate::waits::WaitStatistics;

/// A group of threads that run one module over one shared memory, and end together.
///
/// Made by [`ThreadGroup::builder`]; runs once. Dropping a group ends it as [`Outcome::Cancelled`]
/// if it has not ended, and blocks until its host threads are gone. If a host function of the group
/// drops it, the calling thread is left out.
pub struct ThreadGroup<T: Send + 'static> {
    pub(crate) core: Arc<Core<T>>,
    /// The main thread's store, until it runs.
    pub(super) main: Mutex<Option<ThreadStore<T>>>,
    pub(super) memory: Option<HostMemory>,
    pub(super) left_behind: Mutex<Vec<LeftBehind>>,
    pub(super) timeout_report: Mutex<Option<Report>>,
    /// Whether the grace period is over: there is one for the whole group.
    pub(super) out_of_grace: AtomicBool,
    /// Whether threads have been stopped for ever: nothing is waited for or given back any more.
    pub(super) only_to_exit: AtomicBool,
}

impl<T: Send + 'static> ThreadGroup<T> {
    pub(crate) fn new(
        core: Arc<Core<T>>,
        main: ThreadStore<T>,
        memory: Option<HostMemory>,
    ) -> Self {
        Self {
            core,
            main: Mutex::new(Some(main)),
            memory,
            left_behind: Mutex::default(),
            timeout_report: Mutex::default(),
            out_of_grace: AtomicBool::new(false),
            only_to_exit: AtomicBool::new(false),
        }
    }

    /// Runs `export`, a function without parameters and results, as the group's main thread, and
    /// returns how the group ended.
    ///
    /// Blocks the calling thread, on which no guest code runs: the main thread has a host thread of
    /// its own, whose stack the group chooses. When it returns, every host thread of the group has
    /// been joined and every store dropped, except those [left behind](Self::left_behind). The
    /// return of `export` ends the whole group, as the wasi-threads proposal says.
    ///
    /// # Errors
    ///
    /// See [`RunError`]: no guest code has run then.
    pub fn run(&self, export: &str) -> Result<Outcome, RunError> {
        self.check_export(export)?;
        self.run_entry(EntryPoint::Main {
            export: export.to_owned(),
        })
    }

    /// Instantiates the module, which runs its start function if it has one, and calls no export;
    /// returns how the group ended. Otherwise it is [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// See [`RunError`]: no guest code has run then.
    pub fn start(&self) -> Result<Outcome, RunError> {
        self.run_entry(EntryPoint::Start)
    }

    /// Initialises a library (calls `_initialize`, where it is exported) and calls `export` with
    /// `params`, as the group's main thread; returns how the group ended and, if that is
    /// [`Outcome::Returned`], what `export` returned.
    ///
    /// Both calls have one deadline ([`Limits::timeout`](crate::Limits::timeout)). Otherwise it is
    /// [`run`](Self::run). To call exports again and again, see
    /// [`into_reactor`](Self::into_reactor).
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
        let outcome = self.run_entry(EntryPoint::Invoke(Arc::clone(&invocation)))?;
        let results = match outcome {
            Outcome::Returned => invocation.results.get().cloned(),
            _ => None,
        };
        Ok((outcome, results.unwrap_or_default()))
    }

    /// Runs the main thread, and waits for the end of the group.
    fn run_entry(&self, entry: EntryPoint) -> Result<Outcome, RunError> {
        let core = &self.core;
        let store = self.take_main().ok_or(RunError::AlreadyRan)?;
        let deadline = core
            .limits
            .timeout
            .and_then(|timeout| Instant::now().checked_add(timeout));
        let program = Arc::clone(&core.program);
        let mut guest = Guest::with_store(program, core.life.enter_main(), store, entry);
        if let Some(turns) = core.life.turns() {
            guest.set_member(turns.register(ThreadId::MAIN, None));
        }
        // The guest's spawns find the core while main runs.
        let held = Arc::clone(core);
        core.hosts
            .dispatch(Box::new(move || {
                guest.run();
                drop(held);
            }))
            .map_err(|error| {
                core.life.end(Outcome::Cancelled);
                RunError::HostThread(error.into())
            })?;
        // The guest has threads of its own. This one only waits, and must get a processor at the
        // end.
        let freezes = core.life.native().is_some_and(Native::freezes);
        let raised = freezes.then(running::RaisedPriority::of_this_thread);
        if core.life.wait_ended(deadline) {
            drop(raised);
        } else {
            self.time_out(raised);
            core.life.wait_ended(None);
        }
        match core.life.native() {
            Some(native) if native.freezes() => self.settle(native),
            _ => self.finish(),
        }
        if let Some(error) = core.life.take_failure() {
            return Err(RunError::Instantiate(error));
        }
        // There is an outcome: the wait above has ended.
        Ok(core.life.outcome().unwrap_or(Outcome::Cancelled))
    }

    /// Takes the main thread's store; `None` after the first time.
    pub(crate) fn take_main(&self) -> Option<ThreadStore<T>> {
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
            found: extern_type::describe(ty),
        };
        match self.guest_export(export) {
            None => Err(RunError::NoExport(export.to_owned())),
            Some(ty) => match ty.func() {
                Some(func) if func.params().len() == 0 && func.results().len() == 0 => Ok(()),
                _ => Err(found(&ty)),
            },
        }
    }

    /// The type of an export, if it is the guest's own.
    pub(super) fn guest_export(&self, name: &str) -> Option<ExternType> {
        let module = self.core.program.module();
        let ty = module.module().get_export(name);
        ty.filter(|_| module.is_guest_export(name))
    }

    /// Whether `export` can be called with `params`.
    pub(crate) fn check_values(&self, export: &str, params: &[Val]) -> Result<(), RunError> {
        let ty = self.guest_export(export);
        let ty = ty.ok_or_else(|| RunError::NoExport(export.to_owned()))?;
        let (name, found) = (export.to_owned(), extern_type::describe(&ty));
        match ty.func() {
            None => Err(RunError::ExportType { name, found }),
            Some(func) if extern_type::has_references(func) => {
                Err(RunError::References { name, found })
            }
            Some(func) if !extern_type::fits(func, params) => {
                Err(RunError::Parameters { name, found })
            }
            Some(_) => Ok(()),
        }
    }

    /// A handle that can end the group from any thread.
    pub fn handle(&self) -> GroupHandle {
        GroupHandle::new(&self.core.life)
    }

    /// The memory the group's threads share; `None` if the module imports none. It may be read
    /// while the group runs and after it has ended.
    pub fn memory(&self) -> Option<&SharedMemory> {
        self.memory.as_ref().map(HostMemory::memory)
    }

    /// Waits, notifies, loads and stores on that memory from host code.
    pub fn host_memory(&self) -> Option<HostMemory> {
        self.memory.clone()
    }

    /// Totals of the guest's waits and notifies; all zero for an unprepared module.
    pub fn wait_statistics(&self) -> WaitStatistics {
        self.core.life.lot().statistics()
    }

    /// Threads that were still in host code when
    /// [`GroupBuilder::grace`](crate::GroupBuilder::grace) was over; empty before the end, and if
    /// every thread was joined. Takes a short lock.
    pub fn left_behind(&self) -> Vec<LeftBehind> {
        self.left_behind
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// What the threads were doing when the time limit passed. `None` if it did not pass, and
    /// without [`GroupBuilder::report_at_timeout`](crate::GroupBuilder::report_at_timeout). Takes a
    /// short lock.
    pub fn timeout_report(&self) -> Option<Report> {
        self.timeout_report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where in the guest's program a trap happened: [`Outcome::backtrace`] without the frames of
    /// functions that [`prepare`](crate::prepare()) appended. `outcome` is this group's.
    pub fn backtrace_of(&self, outcome: &Outcome) -> Option<Backtrace> {
        match outcome {
            Outcome::Trapped { error, .. } => Backtrace::of_error(error, self.core.life.appended()),
            _ => None,
        }
    }

    /// How many threads the group has had so far.
    pub fn thread_counts(&self) -> ThreadCounts {
        self.core.life.thread_counts()
    }

    /// Failed calls of `thread-spawn` so far.
    pub fn spawn_failures(&self) -> SpawnFailures {
        self.core.life.spawn_failures()
    }

    /// What the group has done under its schedule so far; `None` without a schedule.
    pub fn schedule_trace(&self) -> Option<ScheduleTrace> {
        self.core.life.turns().map(|turns| turns.trace())
    }

    /// A hash of the shared memories that all threads have: of their sizes and contents. Two runs
    /// with the same decisions of a [schedule](crate::schedule) end with the same hash. It reads
    /// the whole memories, which takes some milliseconds for each 16 MiB. While the group runs the
    /// hash means nothing.
    pub fn memory_hash(&self) -> u64 {
        let mut mix = Mix::default();
        for memory in &self.core.program.memories {
            words::hash(memory, &mut mix);
        }
        mix.sum()
    }

    /// Fuel that no thread holds; after the end, what was not consumed. `None` without
    /// [`Limits::fuel`](crate::Limits::fuel).
    pub fn fuel_left(&self) -> Option<u64> {
        self.core.program.stores.fuel().map(|fuel| fuel.left())
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
