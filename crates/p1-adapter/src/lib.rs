//! WASI preview1 that any number of threads may call at once.
//!
//! `wasmtime-wasi`'s own preview1 needs `&mut` access to its context, so it serves one thread. This
//! crate has all 46 functions of `wasi_snapshot_preview1` on a context that is `Send + Sync` and
//! cheap to clone. It is built on `wasmtime-wasi`'s public types: that crate's code resolves paths
//! and decides permissions.
//!
//! A [`P1CtxBuilder`] makes a [`P1Ctx`], which all threads of a program share. Each thread's store
//! holds a [`P1State`] on a clone of it, and [`add_to_linker_sync`] or [`add_to_linker_async`]
//! links the functions.
//!
//! ```
//! use p1_adapter::{P1Ctx, P1CtxBuilder, P1State, add_to_linker_sync};
//! use wasmtime::{Config, Engine, Linker, MemoryTypeBuilder, Module, SharedMemory, Store};
//!
//! # fn main() -> wasmtime::Result<()> {
//! let mut config = Config::new();
//! config.wasm_threads(true).shared_memory(true);
//! let engine = Engine::new(&config)?;
//! let mut linker: Linker<P1State> = Linker::new(&engine);
//! add_to_linker_sync(&mut linker, |state| state)?;
//! let module = Module::new(&engine, r#"
//!     (module
//!         (import "env" "memory" (memory 1 1 shared))
//!         (import "wasi_snapshot_preview1" "random_get"
//!             (func $random (param i32 i32) (result i32)))
//!         (export "memory" (memory 0))
//!         (func (export "run") (param i32) (result i32)
//!             (call $random (local.get 0) (i32.const 16))))
//! "#)?;
//! let ty = MemoryTypeBuilder::new().shared(true).max(Some(1)).min(1).build()?;
//! let memory = SharedMemory::new(&engine, ty)?;
//!
//! let ctx: P1Ctx = P1CtxBuilder::new().build()?;
//! std::thread::scope(|scope| {
//!     for i in 0..4 {
//!         let (ctx, memory, module) = (ctx.clone(), memory.clone(), &module);
//!         let mut linker = linker.clone();
//!         let engine = &engine;
//!         scope.spawn(move || {
//!             let mut store = Store::new(engine, P1State::with_memory(ctx, memory.clone()));
//!             linker.define(&store, "env", "memory", memory).unwrap();
//!             let instance = linker.instantiate(&mut store, module).unwrap();
//!             let run = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap();
//!             assert_eq!(run.call(&mut store, i * 16).unwrap(), 0);
//!         });
//!     }
//! });
//! # Ok(())
//! # }
//! ```
//!
//! # What it guarantees
//!
//! * Every data call on a file is one vectored system call straight on guest memory, at the
//!   operating system's own cursor. So two readers of one descriptor get disjoint bytes, and a
//!   write with `APPEND` never overwrites. Streams are read and written in the same way, with
//!   several system calls if a call has to wait.
//! * Closing or renumbering a descriptor while another thread is inside a call on it does not fail
//!   that call, and the call never touches another file. Numbers are given out lowest first.
//! * A raised [`EndSignal`] ends every blocked call, and every later one, with the trap
//!   [`Interrupted`].
//! * Nothing that a guest passes can panic the host, and the library never ends the host process.
//!   The operating system may, for two kinds of writes: one beyond `RLIMIT_FSIZE`, if that is set,
//!   raises `SIGXFSZ`, and one to a pipe without readers raises `SIGPIPE`. If the host ignores
//!   these signals, the guest gets an errno instead (`fbig`, `pipe`). Rust programs ignore
//!   `SIGPIPE` from the start.
//! * A program that uses only files, standard streams and clocks starts no tokio runtime and no
//!   helper thread.
//!
//! # What it is not for
//!
//! It is not for components and WASI preview2 or 3: use `wasmtime-wasi`. It does not spawn threads:
//! it only makes calls from several threads correct.

mod abi;
// Some of it is for tests alone.
#[cfg_attr(
    not(feature = "test-hooks"),
    allow(unreachable_pub, unused_imports, dead_code)
)]
mod blocking;
mod budget;
mod call;
mod calls;
mod ctx;
mod descriptor;
pub mod fd;
mod guest;
mod linker;
mod lock;
pub mod made;
pub mod own_kinds;
mod path;
mod sys;

pub use abi::error::{BuildError, Raised, TooMuchRandom, exit_code};
pub use abi::rights::Rights;
pub use blocking::{EndSignal, Interrupted};
pub use budget::MemoryBudget;
pub use call::host_word::host_word;
pub use ctx::P1Ctx;
pub use ctx::builder::P1CtxBuilder;
pub use ctx::clock_source::{ClockSource, GuestClock};
pub use ctx::memory_use::MemoryUse;
pub use ctx::observe::{CallObserver, CallOutcome};
pub use ctx::push::{Handover, StreamAccess};
pub use ctx::random_source::RandomSource;
pub use ctx::state::P1State;
pub use ctx::unrepeatable::{NotRepeatable, Unrepeatable};
pub use linker::{
    PREVIEW1_MODULE, UNSTABLE_MODULE, add_to_linker_async, add_to_linker_sync,
    add_unstable_to_linker_async, add_unstable_to_linker_sync,
};
/// What [`P1CtxBuilder::secure_random_rng`] takes.
#[doc(no_inline)]
pub use rand::Rng;
/// To be called before the first thread is started, where the time to start matters.
pub use table_sync::prepare_process;
/// What the signatures of this crate have of wasmtime-wasi's.
#[doc(no_inline)]
pub use wasmtime_wasi::{
    FsPerms, HostMonotonicClock, HostWallClock, I32Exit, OpenMode, WasiCtx,
    cli::{StdinStream, StdoutStream},
};

/// Waiting, for the tests of it.
#[cfg(feature = "test-hooks")]
#[doc(hidden)]
pub mod test_hooks {
    pub use crate::blocking::*;
}

/// The example of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
