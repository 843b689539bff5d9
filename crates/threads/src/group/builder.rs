//! From an engine, a module and a linker to a group.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use wasmtime::{Engine, Linker, SharedMemory, StoreContextMut};

use crate::group::store_data::{NoThreadData, ThreadData};
use crate::group::thread_group::ThreadGroup;
use crate::host::pool::Pool;
use crate::life::OnEnd;
use crate::module::thread_module::ThreadModule;
use crate::schedule::Schedule;
use crate::sys::running::{self, Word};
use crate::thread::program::{Around, ExitCode, OnTrap};
use crate::thread::store::SetUpStore;
use crate::types::budget::MemoryBudget;
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;
use crate::watch::observer::Observer;

/// How running wasm is stopped when its group ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Termination {
    /// By the engine's epoch, at the next loop iteration or function call. Needs
    /// `Config::epoch_interruption(true)`. Exact, and on every platform; but the checks in the code cost a program
    /// that computes 7 to 183 % of its processor time.
    ///
    /// The group increments the engine's epoch when it ends, a few times at most. Other stores of
    /// the engine see those increments as ticks.
    #[default]
    Epochs,
    /// Not at all: a thread ends when it next waits, or calls a host function that watches the
    /// [`EndToken`](crate::EndToken). Wasm that does neither runs on: when the [`grace`](GroupBuilder::grace) period is over,
    /// [`ThreadGroup::run`] returns and leaves the thread behind, with its host thread, its store and the memory
    /// ([`ThreadGroup::left_behind`] names it, as computing). Costs nothing; a thread that computes for
    /// ever is never ended.
    AtHostCalls,
    /// Where it is, for ever, because the process is about to exit: `run`, `start` and `invoke` return once every thread has
    /// stopped or has been left in a host call, join none, and the caller has nothing left to do but to end the process. No
    /// checks in the code; a thread that computes stops at its next instruction, so all have stopped once each has had a turn: on two
    /// processors 8 threads within 1 ms, 1,500 within 30 ms (`scripts/end.py`).
    ///
    /// The end takes execute permission from the code of the group's modules, so *every* thread of the process that runs
    /// that code stops when it next does, those of other groups included, and no module of it runs again. Stores,
    /// stacks, memories and instances stay: dropping the group gives nothing back. A group that never ran is dropped as any
    /// other. [`ThreadGroup::into_reactor`] refuses such a group.
    ///
    /// The thread that calls `run` asks for a [`RaisedPriority`](crate::RaisedPriority) while it waits for the end, so that it
    /// gets its turn beside threads that compute.
    ///
    /// Linux on x86-64 and aarch64. [`GroupBuilder::build`] installs a handler of SIGSEGV in front of Wasmtime's, and one
    /// of a real-time signal (the first without a handler from `SIGRTMIN + 7` on), for the whole process. Where a seccomp
    /// filter refuses to take the permission away, that signal is sent to each thread until all have stopped.
    ProcessExit,
}

impl Termination {
    /// Whether [`ProcessExit`](Self::ProcessExit) is there on this platform.
    pub const CAN_EXIT: bool = running::SUPPORTED;
}

/// The [`grace`](GroupBuilder::grace) period of a group that is given none.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Makes a [`ThreadGroup`].
///
/// `D` is how the store data of a thread is made: [`NoThreadData`] before [`state`](Self::state) or [`try_state`](Self::try_state) has
/// said that, [`ThreadData`] afterwards, when there is a [`build`](Self::build).
pub struct GroupBuilder<T: 'static, D = ThreadData<T>> {
    pub(super) settings: GroupSettings<T>,
    pub(super) data: D,
}

/// What a builder has been told.
pub(super) struct GroupSettings<T: 'static> {
    pub(super) engine: Engine,
    pub(super) module: ThreadModule,
    pub(super) preloads: Vec<(String, ThreadModule)>,
    pub(super) linker: Linker<T>,
    pub(super) limits: Limits,
    pub(super) pool: Pool,
    pub(super) termination: Termination,
    pub(super) exit_code: ExitCode,
    pub(super) on_end: Vec<OnEnd>,
    pub(super) without_on_end: bool,
    pub(super) memory: Option<SharedMemory>,
    pub(super) set_up_store: Option<SetUpStore<T>>,
    pub(super) detect_deadlock: bool,
    pub(super) grace: Duration,
    pub(super) around: Option<Around>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) on_trap: Option<OnTrap<T>>,
    pub(super) call_names: &'static [&'static str],
    pub(super) see_threads: bool,
    pub(super) profile: Option<Duration>,
    pub(super) host_word: Option<fn() -> Word>,
    pub(super) timeout_report: Option<usize>,
    pub(super) budget: Option<Arc<dyn MemoryBudget>>,
    pub(super) schedule: Schedule,
    #[cfg(feature = "async")]
    pub(super) async_calls: bool,
}

impl<T: 'static, D> fmt::Debug for GroupBuilder<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupBuilder")
            .field("limits", &self.settings.limits)
            .field("termination", &self.settings.termination)
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> ThreadGroup<T> {
    /// Starts to make a group of `module`, whose imports `linker` satisfies, apart from the shared
    /// memory and `wasi.thread-spawn`. All three are of `engine`.
    pub fn builder(
        engine: &Engine,
        module: &ThreadModule,
        linker: Linker<T>,
    ) -> GroupBuilder<T, NoThreadData> {
        let settings = GroupSettings {
            engine: engine.clone(),
            module: module.clone(),
            preloads: Vec::new(),
            linker,
            limits: Limits::default(),
            pool: Pool::default(),
            termination: Termination::default(),
            exit_code: |_| None,
            on_end: Vec::new(),
            without_on_end: false,
            memory: None,
            set_up_store: None,
            detect_deadlock: false,
            grace: DEFAULT_GRACE,
            around: None,
            observer: None,
            on_trap: None,
            call_names: &[],
            see_threads: false,
            profile: None,
            host_word: None,
            timeout_report: None,
            budget: None,
            schedule: Schedule::Parallel,
            #[cfg(feature = "async")]
            async_calls: false,
        };
        GroupBuilder {
            settings,
            data: NoThreadData,
        }
    }
}

impl<T: Send + 'static, D> GroupBuilder<T, D> {
    /// Puts an instance of `module` beneath the group's own module, which imports its exports from `name`. May be
    /// given several times: a module may import from those given before it.
    ///
    /// As wasi-threads gives each thread an instance of the module, so it does here: every thread has its own instance of
    /// each preloaded module, with its own globals and tables. All of a thread's instances are made first, then the
    /// start functions run, in the order given and the group's own module last; a preloaded module's `_initialize`
    /// runs in the main thread only, after its start function. What it imports comes from the linker and from the
    /// modules before it; a shared memory imported by the name the group's module uses is the group's.
    ///
    /// [`build`](Self::build) refuses a module that is not prepared, a command, and, in a group that starts
    /// threads, one with a memory of its own: see the `Preload` errors of [`GroupError`](crate::GroupError). It looks for what is imported
    /// from a preloaded module by name only: one of another type is found when the main instance is made
    /// ([`RunError::Instantiate`](crate::RunError::Instantiate)). Costs each spawn a copy of the linker.
    pub fn preload(mut self, name: &str, module: &ThreadModule) -> Self {
        self.settings
            .preloads
            .push((name.to_owned(), module.clone()));
        self
    }

    /// What the group and its threads may use.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// How many host threads stay parked between guest threads.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.settings.pool = pool;
        self
    }

    /// How running wasm is stopped.
    pub fn termination(mut self, termination: Termination) -> Self {
        self.settings.termination = termination;
        self
    }

    /// Reads what threads are doing from outside: [`GroupHandle::report`](crate::GroupHandle::report) then has backtraces of
    /// threads that compute, without epochs, and of threads in host calls. Implied by
    /// [`Termination::ProcessExit`], which says what is installed for it in the process, and where. Each thread that starts to run the guest
    /// registers itself, which costs some nanoseconds.
    pub fn see_threads(mut self, see: bool) -> Self {
        self.settings.see_threads = see;
        self
    }

    /// Samples the stacks of all threads, so that [`GroupHandle::profile`](crate::GroupHandle::profile) says where they spent
    /// their time: one sample in each `interval` of a thread's processor time, or as many as the kernel's clock ticks (250 in
    /// a second on most). Implies [`see_threads`](Self::see_threads), whose signal a timer of each thread sends; a
    /// [`host_word`](Self::host_word) tells host functions from what the runtime does.
    ///
    /// Costs each sample some microseconds, each wait two looks at the clock, and each thread a timer (of which
    /// `RLIMIT_SIGPENDING` allows some thousands) and 64 KiB; the group a host thread of its own, which is gone when the group is
    /// dropped. Threads on stacks of fibers have samples without frames where that is for async host functions, and not for
    /// [`Limits::fuel`](crate::Limits::fuel).
    pub fn profile(mut self, interval: Duration) -> Self {
        self.settings.profile = Some(interval);
        self
    }

    /// Where host functions say that they are called: `word` returns the calling thread's word, which is 0 outside of them, and
    /// the address of something on its stack inside. The group's own host functions use the same.
    ///
    /// The end of a group with [`Termination::ProcessExit`] gives threads that are in host functions their grace; without a word
    /// it takes them for computing ones, and waits for them likewise. `p1_adapter::host_word` is such a function.
    pub fn host_word(mut self, word: fn() -> &'static AtomicUsize) -> Self {
        self.settings.host_word = Some(word);
        self
    }

    /// Describes `threads` threads when [`Limits::timeout`] passes, before they are told to end:
    /// [`ThreadGroup::timeout_report`]. Takes up to 200 ms.
    pub fn report_at_timeout(mut self, threads: usize) -> Self {
        self.settings.timeout_report = Some(threads);
        self
    }

    /// How an error of a host function is recognised as an exit: the code makes the outcome
    /// [`Outcome::Exited`](crate::Outcome::Exited). Without it every error is a trap.
    ///
    /// For wasmtime-wasi's error this is `|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0)`.
    pub fn exit_code(mut self, exit_code: fn(&wasmtime::Error) -> Option<i32>) -> Self {
        self.settings.exit_code = exit_code;
        self
    }

    /// Runs `hook` once when the group ends, on the thread that ended it, after running wasm was
    /// interrupted and the [`EndToken`](crate::EndToken) raised. This is where blocked host calls of
    /// other crates are told. It holds no lock of the group, and should not block. May be given
    /// several times.
    ///
    /// [`build`](Self::build) refuses a group without any whose modules import WASI functions that may block
    /// ([`GroupError::NotJoined`](crate::GroupError::NotJoined)): forgotten, a thread that reads or sleeps keeps the end waiting for its
    /// [`grace`](Self::grace). For `p1-adapter`, one call of the crate `wasi-threads-p1` gives this hook and all else
    /// that group and context should know of each other.
    pub fn on_end(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.on_end.push(Box::new(hook));
        self
    }

    /// Says that no WASI needs to be told of the group's end by [`on_end`](Self::on_end): its functions do not block, or
    /// watch the [`EndToken`](crate::EndToken).
    pub fn without_on_end(mut self) -> Self {
        self.settings.without_on_end = true;
        self
    }

    /// Uses this shared memory for the module's first shared memory import instead of making one.
    ///
    /// One group at a time: waits are the group's own. So notifies of another group with the same
    /// memory wake no thread here, and with [`detect_deadlock`](Self::detect_deadlock) threads that
    /// wait for another group look stuck. The same goes for a shared memory that the linker has. A
    /// host function of one group reaches the other's waiters with that group's
    /// [`HostMemory`](crate::HostMemory).
    pub fn memory(mut self, memory: SharedMemory) -> Self {
        self.settings.memory = Some(memory);
        self
    }

    /// Ends the group as [`Outcome::Deadlocked`](crate::Outcome::Deadlocked) when every one of its threads
    /// waits, without a timeout, on its memory.
    ///
    /// By calling this with `true` the embedder declares that nothing outside of the group writes or
    /// notifies its memory, except host functions during their calls and whoever holds a
    /// [`HostWriter`](crate::waits::HostWriter) ([`HostMemory::writer`](crate::HostMemory::writer)). A thread in
    /// a host call is not stuck, nor is one that waits with a timeout. Costs each wait two atomic
    /// operations. Has no effect on an unprepared module, whose waits cannot be seen.
    pub fn detect_deadlock(mut self, detect: bool) -> Self {
        self.settings.detect_deadlock = detect;
        self
    }

    /// How long an ended group waits for threads whose host functions ignore the
    /// [`EndToken`](crate::EndToken): 10 seconds ([`DEFAULT_GRACE`](crate::DEFAULT_GRACE)) unless set, for ever with [`Duration::MAX`]. When it is over,
    /// [`run`](ThreadGroup::run) returns and leaves them behind, and
    /// [`left_behind`](ThreadGroup::left_behind) names them: each keeps its host thread, its store and the
    /// memory until its host function returns, and is then ended by its next epoch check or
    /// wait.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Runs `around` on each thread's own host thread with the thread's id and its life to run: what it
    /// does before and after are hooks, and what it holds meanwhile is held for the thread's life (an entered
    /// runtime, a span). It must call its argument once; a thread that is not run ends the group
    /// as [`Outcome::Cancelled`](crate::Outcome::Cancelled). After the call the thread has left the group, and its id may
    /// be another's. The
    /// calls of a [`Reactor`](crate::Reactor) are not threads, and are not run in it.
    pub fn around_thread(
        mut self,
        around: impl Fn(ThreadId, &mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.settings.around = Some(Box::new(around));
        self
    }

    /// Tells `observer` of threads, waits, notifies and the end. A group without one has a branch in each of
    /// these places and no other cost.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = Some(observer);
        self
    }

    /// What the host calls are called that threads note by number, from 1 on: see
    /// [`note_host_call`](crate::note_host_call).
    pub fn host_call_names(mut self, names: &'static [&'static str]) -> Self {
        self.settings.call_names = names;
        self
    }

    /// Runs `hook` when a trap (or the error of a host function that is no exit) has ended the group, on the
    /// host thread it happened on, with that thread's store, which is dropped afterwards. The outcome is set
    /// and the other threads have been told to end, but may not have ended yet.
    ///
    /// This is where a core dump is written: with `Config::coredump_on_trap` the error holds a
    /// `wasmtime::WasmCoreDump` (so does the outcome's), and its `serialize` wants the store. Shared
    /// memories are not in it; [`ThreadGroup::memory`] has their bytes after the run. The hook must
    /// not call into wasm. A panic in it is caught and forgotten. It runs at most once.
    pub fn on_trap(
        mut self,
        hook: impl Fn(ThreadId, &wasmtime::Error, StoreContextMut<'_, T>) + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_trap = Some(Box::new(hook));
        self
    }

    /// Says that the linker has async host functions (`func_wrap_async`). They work in every thread: each host
    /// thread drives its own guest thread, and blocks where the function awaits. When the group ends, the
    /// future of a call that awaits is dropped.
    ///
    /// One async function makes every call into wasm run on a stack of wasmtime's own
    /// (`Config::async_stack_size`), made for each thread and each call from outside; calls between wasm and
    /// host functions that are not async stay as they are. A function that needs a runtime gets it from
    /// [`around_thread`](Self::around_thread), by entering a handle there.
    #[cfg(feature = "async")]
    pub fn async_host_functions(mut self, are_there: bool) -> Self {
        self.settings.async_calls = are_there;
        self
    }

    /// Takes the memory of the group out of `budget`, which others may use as well.
    ///
    /// Counted are, in bytes: each unshared memory and garbage-collected heap at its size, each table at 8 bytes for an element, for
    /// each thread the size of its host stack, and of a fiber's where it has one (what is reserved, touched or not; instances made ahead have theirs), and the
    /// shared memories that the group makes, at their size. They are asked for before they are made or grow, and given back as
    /// their thread ends, or the group. What does not fit is refused as by the other limits: the growth returns -1 (or
    /// traps, [`Limits::trap_on_grow_failure`](crate::Limits::trap_on_grow_failure)), the spawn fails.
    ///
    /// *Shared memories*: Wasmtime does not ask the host when one grows. So one is made with a
    /// maximum of what the budget has left at that time, if it declares more, and what it has grown
    /// by is taken whenever something else is asked for. All together can be beyond the budget by
    /// what others had taken before it grew, so never beyond twice the budget for one group. A
    /// shared memory that a module defines itself, and does not import, counts as it is when it is
    /// made: [`Limits::shared_memory`](crate::Limits::shared_memory) bounds it. One that the
    /// embedder gives does not count.
    pub fn memory_budget(mut self, budget: Arc<dyn MemoryBudget>) -> Self {
        self.settings.budget = Some(budget);
        self
    }
}
