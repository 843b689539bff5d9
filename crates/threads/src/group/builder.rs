//! From an engine, a module and a linker to a group.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use wasmtime::{Engine, Linker, SharedMemory, StoreContextMut};

use crate::group::store_data::{NoThreadData, ThreadData};
use crate::group::termination::Termination;
use crate::group::thread_group::ThreadGroup;
use crate::host::pool::Pool;
use crate::life::OnEnd;
use crate::module::thread_module::ThreadModule;
use crate::schedule::{AccessObserver, Schedule};
use crate::sys::running::Word;
use crate::thread::program::{Around, ExitCode, OnTrap};
use crate::thread::store::SetUpStore;
use crate::types::budget::MemoryBudget;
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;
use crate::watch::observer::Observer;

/// The default [`grace`](GroupBuilder::grace) period.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Makes a [`ThreadGroup`].
///
/// `D` says how the store data of a thread is made: it is [`NoThreadData`] before
/// [`state`](Self::state) or [`try_state`](Self::try_state) is called, and [`ThreadData`]
/// afterwards. Only then there is a [`build`](Self::build).
pub struct GroupBuilder<T: 'static, D = ThreadData<T>> {
    pub(super) settings: GroupSettings<T>,
    pub(super) data: D,
}

/// The settings of a builder.
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
    pub(super) accesses: Option<Arc<dyn AccessObserver>>,
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
    /// A builder for a group that runs `module`. `linker` has the module's imports, except the
    /// shared memory and `wasi.thread-spawn`. Module and linker belong to `engine`.
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
            accesses: None,
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
    /// Puts an instance of `module` beneath the group's own module, which imports its exports from
    /// `name`. May be given several times: a module may import from those given before it.
    ///
    /// Every thread has its own instance of each preloaded module, with its own globals and tables,
    /// as wasi-threads gives it one of the group's own module. All of a thread's instances are made
    /// first. Then the start functions run in the order given, with the group's own module last. A
    /// preloaded module's `_initialize` runs in the main thread only, after its start function. Its
    /// imports come from the linker and from the modules before it. A shared memory that it imports
    /// by the name that the group's module uses is the group's.
    ///
    /// [`build`](Self::build) refuses a module that is not prepared, a command, and, in a group
    /// that starts threads, one with a memory of its own: see the `Preload` errors of
    /// [`GroupError`](crate::GroupError). It checks what is imported from a preloaded module by
    /// name only. An export of another type is found when the main instance is made
    /// ([`RunError::Instantiate`](crate::RunError::Instantiate)). Costs each spawn a copy of the
    /// linker.
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

    /// Lets the group read from outside what its threads are doing.
    /// [`GroupHandle::report`](crate::GroupHandle::report) then has backtraces of threads that
    /// compute, without epochs, and of threads in host calls. Implied by
    /// [`Termination::ProcessExit`], which says on which platforms this works, and what it installs
    /// in the process. Each thread that starts to run the guest registers itself, which costs some
    /// nanoseconds.
    pub fn see_threads(mut self, see: bool) -> Self {
        self.settings.see_threads = see;
        self
    }

    /// Samples the stacks of all threads, so that
    /// [`GroupHandle::profile`](crate::GroupHandle::profile) says where they spent their time.
    /// There is one sample for each `interval` of a thread's processor time, or one for each tick
    /// of the kernel's clock if that is slower (250 in a second on most systems). Implies
    /// [`see_threads`](Self::see_threads): a timer of each thread sends its signal. With a
    /// [`host_word`](Self::host_word) the profile tells host functions from work of the runtime.
    ///
    /// Each sample costs some microseconds, and each wait two looks at the clock. Each thread costs
    /// a timer (`RLIMIT_SIGPENDING` allows some thousands) and 64 KiB. The group costs a host
    /// thread, which ends when the group is dropped. With async host functions, samples have no
    /// frames; with [`Limits::fuel`](crate::Limits::fuel) alone they do.
    pub fn profile(mut self, interval: Duration) -> Self {
        self.settings.profile = Some(interval);
        self
    }

    /// How the group sees that a thread is in a host function. `word` returns the calling thread's
    /// word. It is 0 outside of host functions, and inside them the address of something on the
    /// thread's stack. The group's own host functions write the same word.
    ///
    /// The end of a group with [`Termination::ProcessExit`] gives threads in host functions the
    /// grace period. Without a word, it takes these for computing threads, and waits for them as
    /// well. `p1_adapter::host_word` is such a function.
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

    /// How an error of a host function is recognised as an exit. If `exit_code` returns a code, the
    /// outcome is [`Outcome::Exited`](crate::Outcome::Exited) with it. Without this setting every
    /// error is a trap.
    ///
    /// For wasmtime-wasi's error this is
    /// `|error| error.downcast_ref::<I32Exit>().map(|exit| exit.0)`.
    pub fn exit_code(mut self, exit_code: fn(&wasmtime::Error) -> Option<i32>) -> Self {
        self.settings.exit_code = exit_code;
        self
    }

    /// Runs `hook` once when the group ends, on the thread that ended it, after running wasm was
    /// interrupted and the [`EndToken`](crate::EndToken) raised. This is the place to end blocked
    /// host calls of other crates. It holds no lock of the group, and should not block. May be
    /// given several times.
    ///
    /// Without any such hook a thread that reads or sleeps would delay the end by its
    /// [`grace`](Self::grace). So [`build`](Self::build) refuses a group without one if its modules
    /// import WASI functions that may block
    /// ([`GroupError::NotJoined`](crate::GroupError::NotJoined)). For `p1-adapter`, one call of the
    /// crate `wasi-threads-p1` sets this hook and all else that connects group and context.
    pub fn on_end(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.settings.on_end.push(Box::new(hook));
        self
    }

    /// Says that WASI needs no hook by [`on_end`](Self::on_end): its functions do not block, or
    /// watch the [`EndToken`](crate::EndToken).
    pub fn without_on_end(mut self) -> Self {
        self.settings.without_on_end = true;
        self
    }

    /// Uses this shared memory for the module's first shared memory import instead of making one.
    ///
    /// Use a memory in one group at a time, because each group has its own waits. Notifies of
    /// another group with the same memory wake no thread here, and with
    /// [`detect_deadlock`](Self::detect_deadlock) threads that wait for another group look stuck.
    /// The same holds for a shared memory that the linker has. A host function of one group reaches
    /// the other's waiters with that group's [`HostMemory`](crate::HostMemory).
    pub fn memory(mut self, memory: SharedMemory) -> Self {
        self.settings.memory = Some(memory);
        self
    }

    /// Ends the group as [`Outcome::Deadlocked`](crate::Outcome::Deadlocked) when every one of its
    /// threads waits, without a timeout, on its memory.
    ///
    /// By calling this with `true` the embedder declares that nothing outside of the group writes
    /// or notifies its memory, except host functions during their calls and holders of a
    /// [`HostWriter`](crate::waits::HostWriter)
    /// ([`HostMemory::writer`](crate::HostMemory::writer)). A thread in a host call is not stuck,
    /// nor is one that waits with a timeout. Costs each wait two atomic operations. Has no effect
    /// on an unprepared module, whose waits cannot be seen.
    pub fn detect_deadlock(mut self, detect: bool) -> Self {
        self.settings.detect_deadlock = detect;
        self
    }

    /// How long an ended group waits for threads whose host functions ignore the
    /// [`EndToken`](crate::EndToken): 10 seconds ([`DEFAULT_GRACE`](crate::DEFAULT_GRACE)) unless
    /// set, for ever with [`Duration::MAX`]. When it is over, [`run`](ThreadGroup::run) returns and
    /// leaves them behind, and [`left_behind`](ThreadGroup::left_behind) names them. Each keeps its
    /// host thread, its store and the memory until its host function returns. Then its next epoch
    /// check or wait ends it.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Runs `around` on each thread's own host thread. Its arguments are the thread's id, and a
    /// function that runs the thread. So `around` can act before and after the thread, and hold
    /// something while the thread lives (an entered runtime, a span). It must call the function
    /// once; a thread that is not run ends the group as
    /// [`Outcome::Cancelled`](crate::Outcome::Cancelled). When the function has returned the thread
    /// has left the group, and another may have its id. Calls of a [`Reactor`](crate::Reactor) are
    /// not threads, and do not run inside `around`.
    pub fn around_thread(
        mut self,
        around: impl Fn(ThreadId, &mut dyn FnMut()) + Send + Sync + 'static,
    ) -> Self {
        self.settings.around = Some(Box::new(around));
        self
    }

    /// Tells `observer` of threads, waits, notifies and the end. Without one, each of these places
    /// costs a branch.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.settings.observer = Some(observer);
        self
    }

    /// The names of the host calls that threads note by number, from 1 on: see
    /// [`note_host_call`](crate::note_host_call).
    pub fn host_call_names(mut self, names: &'static [&'static str]) -> Self {
        self.settings.call_names = names;
        self
    }

    /// Runs `hook` when a trap (or the error of a host function that is no exit) has ended the
    /// group. It runs on the host thread of the trap, with that thread's store, which is dropped
    /// afterwards. By then the outcome is set and the other threads have been told to end, but may
    /// not have ended yet.
    ///
    /// This is the place to write a core dump: with `Config::coredump_on_trap` the error holds a
    /// `wasmtime::WasmCoreDump` (so does the outcome's), whose `serialize` needs the store. Shared
    /// memories are not in it; [`ThreadGroup::memory`] has their bytes after the run. The hook must
    /// not call into wasm. A panic in it is caught and forgotten. It runs at most once.
    pub fn on_trap(
        mut self,
        hook: impl Fn(ThreadId, &wasmtime::Error, StoreContextMut<'_, T>) + Send + Sync + 'static,
    ) -> Self {
        self.settings.on_trap = Some(Box::new(hook));
        self
    }

    /// Says that the linker has async host functions (`func_wrap_async`). They work in every
    /// thread: each host thread drives its own guest thread, and blocks where the function awaits.
    /// When the group ends, the future of a call that awaits is dropped.
    ///
    /// One async function makes every call into wasm run on a stack of wasmtime's own
    /// (`Config::async_stack_size`). Such a stack is made for each thread and each call from
    /// outside. Calls between wasm and host functions that are not async stay as they are. A
    /// function that needs a runtime gets it from [`around_thread`](Self::around_thread), by
    /// entering a handle there.
    #[cfg(feature = "async")]
    pub fn async_host_functions(mut self, are_there: bool) -> Self {
        self.settings.async_calls = are_there;
        self
    }

    /// Takes the memory of the group out of `budget`, which other users may share.
    ///
    /// These count, in bytes: each unshared memory and garbage-collected heap, and each shared
    /// memory that the group makes, at its size; each table at 8 bytes for an element. Each thread,
    /// and each instance made ahead, counts with the size of its host stack and, if it has one, of
    /// its fiber's stack, touched or not. The budget is asked before they are made or grow, and
    /// gets the bytes back when their thread ends, or the group. What does not fit is refused as by
    /// the other limits: the growth returns -1 (or traps,
    /// [`Limits::trap_on_grow_failure`](crate::Limits::trap_on_grow_failure)), the spawn fails.
    ///
    /// *Shared memories*: Wasmtime does not ask the host when one grows. So its maximum is what the
    /// budget has left when it is made, if it declares more, and its growth is taken from the
    /// budget with the next request of anything else. The total can exceed the budget by what other
    /// users had taken before the memory grew: for one group, never more than twice the budget. A
    /// shared memory that a module defines itself, and does not import, counts with its size when
    /// it is made: [`Limits::shared_memory`](crate::Limits::shared_memory) bounds it. A memory that
    /// the embedder gives does not count.
    pub fn memory_budget(mut self, budget: Arc<dyn MemoryBudget>) -> Self {
        self.settings.budget = Some(budget);
        self
    }
}
