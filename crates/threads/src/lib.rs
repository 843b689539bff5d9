//! wasi-threads for Wasmtime: groups of threads that always end, never take the host with them, and
//! explain themselves.
//!
//! A guest starts threads with `wasi.thread-spawn`; each runs the same module, over one shared
//! memory, with a store and an instance of its own on a host thread of its own. A [`ThreadGroup`]
//! is all of them. It is made of an engine, a [`ThreadModule`], a linker over the embedder's own
//! store data, and [`Limits`]; it runs an export, and returns an [`Outcome`].
//!
//! The crate depends on `wasmtime` and on no implementation of WASI: the guest has what the linker
//! defines.
//!
//! # What it guarantees
//!
//! - *One outcome.* The first cause is the outcome, and ends all threads: a trap, a panic of a host
//!   function or an exit in any thread, the return of the main thread, a timeout, a cancellation, a
//!   deadlock.
//! - *The end is the end.* When [`ThreadGroup::run`] returns, every host thread of the group has
//!   been joined, and every store dropped. Running wasm, waits on the memory, threads being started
//!   and host functions that watch the [`EndToken`] end at once, without polling. Only host
//!   functions that ignore the token delay the end, by [`GroupBuilder::grace`] at most (10 seconds
//!   unless set).
//! - *The host lives on.* Nothing ends the process, and nothing a guest does panics. Panics of host
//!   functions are caught on their own thread.
//! - *Failed spawns are results.* When a thread cannot be started, the guest gets a negative errno,
//!   and the embedder a [`SpawnError`].
//! - *Limits hold in every thread*: number of threads, stacks, memory, tables, fuel, time.
//!
//! # Which of these to use
//!
//! | to | use |
//! |---|---|
//! | run a program | [`ThreadGroup::run`] |
//! | run it from async code | [`ThreadGroup::run_async`] |
//! | run it many times, each time anew | [`GroupPre`] |
//! | start one of its threads from the host | [`ThreadGroup::spawn`] |
//! | call exports again and again | [`ThreadGroup::into_reactor`]; from async code [`Reactor::call_async`] |
//! | end it from outside | [`GroupHandle::cancel`] |
//! | let a blocking host function end with the group | [`EndToken`], from [`ThreadInfo::token`]; [`GroupBuilder::on_end`] |
//! | have async host functions | [`GroupBuilder::async_host_functions`] |
//! | see what the threads are doing | [`GroupHandle::report`] |
//! | repeat a run, and search for one that fails | [`GroupBuilder::schedule`], [`schedule`] |
//! | record what they have done: a timeline, statistics | [`GroupBuilder::observer`] |
//! | write a core dump | [`GroupBuilder::on_trap`] |
//! | wait for, and notify, the guest from host code | [`ThreadGroup::host_memory`] |
//!
//! # What it is not for
//!
//! - Guests that are hostile to one another in one process: upstream calls shared memory a tier 2
//!   feature, and issues no advisories for it.
//! - Modules without [`prepare`], if their waits have to end quickly: see
//!   [`ThreadModule::from_unprepared`].
//! - Sharing tables or globals between threads: wasi-threads gives each thread an instance.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use wasi_threads::{Limits, Outcome, ThreadGroup, prepare};
//! use wasmtime::{Config, Engine, Linker};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut config = Config::new();
//! config.shared_memory(true).epoch_interruption(true);
//! let engine = Engine::new(&config)?;
//!
//! // Main starts a thread and waits for ever; the thread stores a value and traps.
//! let bytes = wat::parse_str(
//!     r#"(module
//!          (import "env" "memory" (memory 1 1 shared))
//!          (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
//!          (export "memory" (memory 0))
//!          (func (export "wasi_thread_start") (param $tid i32) (param $arg i32)
//!            (i32.atomic.store (i32.const 0) (local.get $arg))
//!            (unreachable))
//!          (func (export "_start")
//!            (drop (call $spawn (i32.const 42)))
//!            (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))))"#,
//! )?;
//! let module = prepare(&engine, &bytes)?;
//!
//! // The store data of each thread: here, its id.
//! let group = ThreadGroup::builder(&engine, &module, Linker::<u32>::new(&engine))
//!     .limits(Limits::new().threads(8).timeout(Duration::from_secs(10)))
//!     .state(|thread| thread.id().get())
//!     .build()?;
//! let outcome = group.run("_start")?;
//!
//! let Outcome::Trapped { thread, .. } = &outcome else {
//!     panic!("{outcome:?}");
//! };
//! assert_eq!(thread.get(), 1);
//! assert!(outcome.backtrace().is_some());
//! // The memory outlives the group's threads.
//! assert_eq!(group.host_memory().unwrap().load32(0)?, 42);
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `async` (on by default): async host functions in every thread.
//! - `compile` (on by default): Cranelift, and what needs a compiler: [`prepare`],
//!   [`prepare_with`], [`PrepareError`], [`preparation_compatibility_hash`] and
//!   [`ThreadModule::serialize`]. Without it the crate runs modules that were compiled elsewhere
//!   ([`Stamped`], [`Stamp`], [`ThreadModule::from_unprepared`]), and the host contains no
//!   compiler: see `examples/load.rs`.
//!
//! `DESIGN.md`, beside this crate's manifest, has the life of a thread, the states of a group, and
//! every race with its answer.

#[cfg(all(doctest, feature = "compile"))]
#[doc = include_str!("../README.md")]
struct Readme;

mod group;
mod host;
mod life;
pub mod memory;
mod module;
pub mod schedule;
mod sys;
mod thread;
mod types;
mod watch;

pub use interruptible_wasm as rewrite;
pub use memory_waits as waits;

pub use crate::group::builder::{DEFAULT_GRACE, GroupBuilder};
pub use crate::group::call_async::Calling;
pub use crate::group::pre::GroupPre;
pub use crate::group::reactor::Reactor;
pub use crate::group::run_async::Running;
pub use crate::group::store_data::{NoThreadData, ThreadData};
pub use crate::group::termination::Termination;
pub use crate::group::thread_group::ThreadGroup;
pub use crate::host::pool::Pool;
pub use crate::host::stacks::HOST_STACK_HEADROOM;
pub use crate::life::handle::GroupHandle;
pub use crate::memory::host::HostMemory;
#[cfg(feature = "compile")]
pub use crate::module::compatibility::preparation_compatibility_hash;
pub use crate::module::deserialize::DeserializeError;
pub use crate::module::precompiled::{Stamp, StampError, Stamped};
#[cfg(feature = "compile")]
pub use crate::module::prepare::{PrepareError, prepare, prepare_with};
pub use crate::module::shape::{ExportedMemory, MemoryImport, ModuleShape, SpawnImport};
pub use crate::module::thread_module::{ThreadEntry, ThreadModule};
pub use crate::sys::running::RaisedPriority;
pub use crate::thread::current::{HostCall, host_call, note_host_call, time_host_call};
pub use crate::thread::store::ThreadInfo;
pub use crate::types::abi;
pub use crate::types::backtrace::Backtrace;
pub use crate::types::budget::MemoryBudget;
pub use crate::types::counts::{SpawnFailures, ThreadCounts};
pub use crate::types::end_token::{EndToken, Ended};
pub use crate::types::error::{
    CallError, GroupEnded, GroupError, NoExitStatus, RunError, SpawnError,
};
pub use crate::types::frames::{Frame, FrameSource};
pub use crate::types::limits::Limits;
pub use crate::types::outcome::Outcome;
pub use crate::types::profile::{Activity, Profile, ProfiledThread, Sample, SampledStack};
pub use crate::types::report::{
    Deadlock, LeftBehind, Others, Report, ThreadReport, ThreadState, WaitingThread,
};
pub use crate::types::thread_id::ThreadId;
pub use crate::watch::observer::{FailedSpawn, Notify, NotifyId, Observer, Spawn, Wait, WaitEnd};
