//! Why a group cannot be made or run, and why a thread was not started.

use wasm_symbols::{Escaped, NAME_CHARS, escape};
use wasmtime::WasmBacktrace;

use crate::host::stacks::HOST_STACK_HEADROOM;
use crate::types::abi::errno;
use crate::types::outcome::Outcome;
use crate::types::schedule_error::ScheduleRefusal;

/// The most characters of a Wasmtime error that are written. It may contain names of the module.
const WORDS: usize = 4 * NAME_CHARS;

/// The text of a Wasmtime error and of its causes, with the module's names escaped. Of an error
/// with a backtrace only the cause is written: Wasmtime would demangle the names in the backtrace,
/// and the result has no bound.
pub(crate) fn in_words(error: &wasmtime::Error) -> String {
    let words = match error.is::<WasmBacktrace>() {
        true => error.root_cause().to_string(),
        false => format!("{error:#}"),
    };
    escape(&words, WORDS).to_string()
}

fn name_shown(name: &str) -> Escaped<'_> {
    escape(name, NAME_CHARS)
}

/// Why [`GroupBuilder::build`](crate::GroupBuilder::build) refused.
///
/// The text of this and of this crate's other errors contains the cause, with the module's names
/// escaped and cut. So a cause is in the variant, and not a [`source`](std::error::Error::source),
/// which would be printed a second time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// The module imports a WASI function that may block, and the group has no hook that ends such
    /// a call: see [`GroupBuilder::on_end`](crate::GroupBuilder::on_end).
    #[error(
        "the module imports `{module}.{name}`, which may block, and nothing ends such a call with the group: join them \
         (`wasi_threads_p1::JoinP1::join`, or `GroupBuilder::on_end`), or say that no call needs it \
         (`GroupBuilder::without_on_end`)"
    )]
    NotJoined {
        /// Module name of the import.
        module: String,
        /// Field name of the import.
        name: String,
    },
    /// The module or the linker given to the builder belongs to another engine.
    #[error("the module or the linker of the group belongs to another engine")]
    OtherEngine,
    /// The module imports `wasi.thread-spawn` and a memory that is not shared.
    #[error(
        "the module imports `wasi.thread-spawn`, but its memory `{}.{}` is not shared: \
         link it with `--shared-memory` (and `--max-memory=BYTES`)",
        name_shown(.module), name_shown(.name)
    )]
    MemoryNotShared {
        /// Module name of the memory import.
        module: String,
        /// Field name of the memory import.
        name: String,
    },
    /// The module imports `wasi.thread-spawn`, and neither imports nor defines a memory.
    #[error(
        "the module imports `wasi.thread-spawn`, but has no memory that its threads could share: link it with \
         `--import-memory --export-memory --shared-memory --max-memory=BYTES`"
    )]
    NoMemory,
    /// The module imports `wasi.thread-spawn` but defines its memory itself: every thread would
    /// get a memory of its own.
    #[error(
        "the module imports `wasi.thread-spawn`, but does not import its memory, so that every thread \
         would get its own: link it with `--import-memory --shared-memory --max-memory=BYTES`"
    )]
    MemoryNotImported,
    /// The module imports `wasi.thread-spawn`, but exports no memory named `memory`.
    #[error(
        "the module imports `wasi.thread-spawn`, but exports no memory named `memory`: link it with \
         `--export-memory`"
    )]
    MemoryNotExported,
    /// The module imports `wasi.thread-spawn` and a shared memory, but exports another memory as
    /// `memory`, which it defines itself. WASI works on that one, and every thread would get its
    /// own. If both are shared, this is found when the main instance is made, and comes inside
    /// [`RunError::Instantiate`].
    #[error(
        "the module imports `wasi.thread-spawn` and a shared memory, but exports another as `memory`, which it \
         defines itself, so that every thread would get its own: link it with `--import-memory \
         --shared-memory --max-memory=BYTES --export-memory`"
    )]
    MemoryExportedIsOwn,
    /// A module to be preloaded did not come through [`prepare`](crate::prepare()).
    #[error("the preloaded module `{name}` is not prepared, so its threads could not be ended")]
    PreloadUnprepared {
        /// The name it was to be preloaded under.
        name: String,
    },
    /// A module to be preloaded is a command.
    #[error(
        "the preloaded module `{name}` is a command (it exports `_start`): only libraries can be preloaded"
    )]
    PreloadCommand {
        /// The name it was to be preloaded under.
        name: String,
    },
    /// A module to be preloaded has a memory that is not shared or not imported, in a group that
    /// starts threads.
    #[error(
        "the preloaded module `{name}` has a memory of its own, of which every thread would get another: in a \
         program that starts threads it must import the shared memory, or have none"
    )]
    PreloadMemory {
        /// The name it was to be preloaded under.
        name: String,
    },
    /// `wasi.thread-spawn` is imported with another type than `(param i32) (result i32)`.
    #[error("the module imports `wasi.thread-spawn` as {found}, not as a function from i32 to i32")]
    SpawnType {
        /// The type the module gives it.
        found: String,
    },
    /// A shared memory is imported, and the engine was made without `Config::shared_memory(true)`.
    #[error(
        "the module imports a shared memory, which the engine does not allow: set `Config::shared_memory(true)`"
    )]
    SharedMemoryDisabled,
    /// A shared memory's declared maximum exceeds
    /// [`Limits::shared_memory`](crate::Limits::shared_memory).
    #[error(
        "the maximum of the module's shared memory, {declared} bytes, exceeds the limit of {limit} bytes"
    )]
    SharedMemoryTooLarge {
        /// What the module declares.
        declared: u64,
        /// What the group allows.
        limit: u64,
    },
    /// The budget ([`GroupBuilder::memory_budget`](crate::GroupBuilder::memory_budget)) has too
    /// little left for a shared memory.
    #[error(
        "the module's shared memory begins with {needed} bytes, and the memory budget has less left"
    )]
    BudgetExceeded {
        /// The memory's initial size, in bytes.
        needed: u64,
    },
    /// [`Limits::shared_memory`](crate::Limits::shared_memory) is set, and a module that did not
    /// come through [`prepare`](crate::prepare()) defines a memory that it does not export. If that
    /// memory is shared, nothing would limit it.
    #[error(
        "the module is not prepared and defines a memory that it does not export: it may be a shared one, which could \
         not be limited"
    )]
    MemoryHidden,
    /// A memory was given by [`GroupBuilder::memory`](crate::GroupBuilder::memory), and the module
    /// imports no shared memory.
    #[error("a shared memory was given, but the module imports none")]
    MemoryNotWanted,
    /// The host stack is too small for the engine's wasm stack.
    #[error(
        "a host stack of {host_stack} bytes is too small for the engine's `max_wasm_stack` of {wasm_stack} \
         bytes: at least {} bytes are needed", wasm_stack.saturating_add(HOST_STACK_HEADROOM)
    )]
    HostStackTooSmall {
        /// What was asked for.
        host_stack: usize,
        /// The engine's setting.
        wasm_stack: usize,
    },
    /// The engine's async stacks are too small. The group has async host functions or a limit on
    /// fuel, so wasm and all host functions run on these stacks. Host functions have the part by
    /// which `async_stack_size` exceeds `max_wasm_stack`.
    #[error(
        "an async stack of {async_stack} bytes is too small for the engine's `max_wasm_stack` of {wasm_stack} \
         bytes and host functions (async ones and a limit on fuel need such stacks): set `Config::async_stack_size` to at \
         least {} bytes",
        wasm_stack.saturating_add(HOST_STACK_HEADROOM)
    )]
    AsyncStackTooSmall {
        /// The engine's setting.
        async_stack: usize,
        /// The engine's setting for wasm.
        wasm_stack: usize,
    },
    /// The engine allows more wasm stack than [`Limits::wasm_stack`](crate::Limits::wasm_stack).
    #[error("the engine's `max_wasm_stack` of {engine} bytes exceeds the limit of {limit} bytes")]
    WasmStackTooLarge {
        /// The engine's setting.
        engine: usize,
        /// What the group allows.
        limit: usize,
    },
    /// Running wasm is to be interrupted, and the engine has no epochs.
    #[error(
        "running wasm cannot be stopped without `Config::epoch_interruption(true)`: set it, or choose \
         `Termination::AtHostCalls`"
    )]
    EpochsDisabled,
    /// Threads are to be seen or stopped from outside
    /// ([`Termination::ProcessExit`](crate::Termination::ProcessExit),
    /// [`GroupBuilder::see_threads`](crate::GroupBuilder::see_threads)), and the platform cannot do
    /// that, or refuses it.
    #[error("threads cannot be seen from outside: {0}")]
    CannotSeeThreads(std::io::Error),
    /// The system refuses `sigaltstack` to this process, and Wasmtime runs nothing without it.
    #[error("no wasm can run, because the system refuses signal stacks (`sigaltstack`): {0}")]
    NoSignalStack(std::io::Error),
    /// A fuel limit is set, and the engine does not count fuel.
    #[error("a fuel limit needs `Config::consume_fuel(true)`")]
    FuelDisabled,
    /// The group is to have a [schedule](crate::schedule), and one of its modules or settings does
    /// not allow that.
    #[error("the group cannot have a schedule: {0}")]
    NoSchedule(ScheduleRefusal),
    /// An observer is to be told of accesses
    /// ([`GroupBuilder::observe_accesses`](crate::GroupBuilder::observe_accesses)), and the module
    /// tells of none.
    #[error("the module was not prepared to tell of accesses (`RewriteOptions::recorded`)")]
    NotRecorded,
    /// The linker does not satisfy the module's imports, or a definition could not be made.
    #[error("the module cannot be linked: {}", in_words(.0))]
    Link(wasmtime::Error),
    /// A shared memory could not be created.
    #[error("the shared memory could not be created: {}", in_words(.0))]
    Memory(wasmtime::Error),
    /// The store of the main thread could not be made.
    #[error("the store of the main thread could not be created: {}", in_words(.0))]
    Store(wasmtime::Error),
}

/// Why [`ThreadGroup::run`](crate::ThreadGroup::run) ran nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The module has no function export of this name.
    #[error("the module exports no function `{0}`")]
    NoExport(String),
    /// The export takes parameters or returns results.
    #[error("the export `{name}` is {found}, not a function without parameters and results")]
    ExportType {
        /// Name of the export.
        name: String,
        /// Its type.
        found: String,
    },
    /// The values given for the export's parameters are too many, too few, or of other types.
    #[error("the export `{name}` is {found}, and the given values do not fit")]
    Parameters {
        /// Name of the export.
        name: String,
        /// Its type.
        found: String,
    },
    /// The export takes or returns references, which do not outlive the thread's store.
    #[error("the export `{name}` is {found}, and references cannot be passed to a thread or back")]
    References {
        /// Name of the export.
        name: String,
        /// Its type.
        found: String,
    },
    /// The group may only end together with the process
    /// ([`Termination::ProcessExit`](crate::Termination::ProcessExit)), and the callers of a
    /// reactor go on.
    #[error("a group that ends only to exit the process cannot be a reactor")]
    OnlyToExit,
    /// The group has a [schedule](crate::schedule), and a reactor's calls come from outside of it.
    #[error("a group with a schedule cannot be a reactor")]
    Scheduled,
    /// The group has run already. A group runs once: its memory holds what the last run left.
    #[error("the group has run already")]
    AlreadyRan,
    /// The host could not start the main thread.
    #[error("the host could not start a thread: {0}")]
    HostThread(std::io::Error),
    /// The main instance could not be made, and no guest code ran, except perhaps the start
    /// function of an [unprepared](crate::ThreadModule::from_unprepared) module, which is part of
    /// instantiation.
    #[error("the module cannot be instantiated: {}", in_words(.0))]
    Instantiate(wasmtime::Error),
}

/// A group neither returned nor exited, so it has no exit status: see
/// [`Outcome::into_exit_status`](crate::Outcome::into_exit_status).
#[derive(Clone, Debug, thiserror::Error)]
#[error("the program did not end by itself: {0}")]
pub struct NoExitStatus(pub Outcome);

/// Why a call of a [`Reactor`](crate::Reactor) gave no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The module has no export of this name.
    #[error("the module has no export `{0}`")]
    NoExport(String),
    /// The export is no function of the call's type, or no global.
    #[error("the export `{name}` is {found}, which is not what the caller asked for")]
    ExportType {
        /// Name of the export.
        name: String,
        /// Its type.
        found: String,
    },
    /// The global cannot be changed, has another type than the value, or holds a reference.
    #[error("the global `{name}`: {}", in_words(.error))]
    Global {
        /// Name of the export.
        name: String,
        /// What is wrong.
        error: wasmtime::Error,
    },
    /// The group has ended, in this call or elsewhere.
    #[error("the group has ended: {0}")]
    Ended(Outcome),
    /// A host function called the reactor that it was called by, and would have waited for itself.
    /// The group goes on.
    #[error("a call of a reactor cannot be made beneath another call of it")]
    Nested,
    /// The call was not made.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Why `thread-spawn` failed, or [`ThreadGroup::spawn`](crate::ThreadGroup::spawn). The guest sees
/// a negative errno; the embedder finds the last of these with
/// [`ThreadGroup::spawn_failures`](crate::ThreadGroup::spawn_failures).
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// The group has ended, or is ending.
    #[error("the group has ended")]
    Ended,
    /// As many threads as allowed are alive, and none left in time.
    #[error("{0} threads are alive, which is the limit")]
    Limit(u32),
    /// As many threads as allowed were started.
    #[error("{0} threads were started, which is the limit")]
    LimitEver(u64),
    /// All thread ids are in use.
    #[error("no thread id is free")]
    NoThreadId,
    /// The module has no `wasi_thread_start`, or one that is not a function of two `i32`.
    #[error("the module exports no function `wasi_thread_start` from (i32, i32) to nothing")]
    NoEntryPoint,
    /// The thread's store or instance could not be made.
    #[error("the thread's instance could not be created: {0}")]
    Instantiate(String),
    /// The process is near a limit of its own (on Linux, its mappings or its address space), which
    /// the text names. The operating system was not asked for a host thread.
    #[error("the host could not start a thread: {0}")]
    NoCapacity(String),
    /// The operating system refused a host thread, with this error.
    #[error("the host could not start a thread: {0}")]
    HostThread(String),
    /// The host wants to start a thread in a group that does not run yet, whose program has set
    /// nothing up.
    #[error("the group has not been run yet")]
    NotRunning,
    /// The host wants to start a thread in a group with a [schedule](crate::schedule): no policy
    /// could decide when it starts.
    #[error("threads of a group with a schedule are started by its guest only")]
    Scheduled,
}

impl SpawnError {
    /// The preview1 errno, negated, which `thread-spawn` returns for this failure: `-6` (EAGAIN)
    /// for limits and exhausted resources, `-11` (ECANCELED) when the group has ended, `-58`
    /// (ENOTSUP) without an entry point. The host alone sees [`NotRunning`](Self::NotRunning) and
    /// [`Scheduled`](Self::Scheduled).
    pub fn errno(&self) -> i32 {
        match self {
            SpawnError::Ended => -errno::CANCELED,
            SpawnError::NoEntryPoint | SpawnError::NotRunning | SpawnError::Scheduled => {
                -errno::NOTSUP
            }
            SpawnError::Limit(_)
            | SpawnError::LimitEver(_)
            | SpawnError::NoThreadId
            | SpawnError::Instantiate(_)
            | SpawnError::NoCapacity(_)
            | SpawnError::HostThread(_) => -errno::AGAIN,
        }
    }
}

/// The error by which a thread of an ended group is unwound.
///
/// Running wasm, waits and the group's own host functions fail with it once the group has ended. It
/// never becomes an outcome: the group has one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the thread group has ended")]
pub struct GroupEnded;
