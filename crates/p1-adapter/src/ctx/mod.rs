//! The context, which the threads of one program share, and what each store keeps of its own.

mod build;
pub(crate) mod builder;
pub(crate) mod clock_source;
pub(crate) mod clocks;
mod from_wasi;
pub(crate) mod hooks;
mod inherit;
mod insert;
mod made;
pub(crate) mod memory_use;
pub(crate) mod observe;
pub(crate) mod pins;
pub(crate) mod push;
pub(crate) mod random_source;
pub(crate) mod state;
pub(crate) mod strings;
pub(crate) mod unrepeatable;

use crate::blocking::EndSignal;
use crate::budget::MemoryBudget;
use crate::ctx::clocks::Clocks;
use crate::ctx::hooks::HostHooks;
use crate::ctx::observe::{Attended, CallObserver};
use crate::ctx::random_source::Random;
use crate::descriptor::fds::Fds;
use crate::path::fifo_open::Opens;
use arc_swap::ArcSwap;
use std::fmt;
use std::sync::Arc;
use strings::Strings;
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

/// Everything a program has of WASI preview1: arguments, environment, clocks, random numbers,
/// descriptors.
///
/// Cloning costs one reference count. All clones are the same context, and any number of threads
/// may use it at once. [`P1CtxBuilder`](crate::P1CtxBuilder) makes it. A store reaches it through a
/// [`P1State`](crate::P1State).
#[derive(Clone)]
pub struct P1Ctx {
    pub(crate) shared: Arc<Shared>,
}

/// The contents of a context. Nothing in here is behind a lock that two calls could meet at, except
/// the descriptor numbers while they change.
pub(crate) struct Shared {
    pub(crate) args: Strings,
    /// May be exchanged while threads run.
    pub(crate) env: ArcSwap<Strings>,
    pub(crate) fds: Fds,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    pub(crate) end: EndSignal,
    /// What is being opened and moved just now.
    pub(crate) opens: Arc<Opens>,
    pub(crate) limits: Limits,
    pub(crate) budget: Option<Arc<dyn MemoryBudget>>,
    /// Which calls `observer` and `hooks.before_call` are told of: the one thing that every call
    /// looks at.
    pub(crate) attended: Attended,
    pub(crate) hooks: HostHooks,
    pub(crate) observer: Option<Arc<dyn CallObserver>>,
    /// Whether the observer is told of calls that may have to wait only.
    pub(crate) observe_waiting: bool,
    /// Whether a write that has no reader any more ends the guest.
    pub(crate) raise_sigpipe: bool,
    /// A file system context without preopens that may block the current thread.
    pub(crate) fs: WasiFilesystemCtx,
}

/// What one call may ask for at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) path_length: u32,
    pub(crate) random_size: u32,
    /// In place of the store's hostcall fuel.
    pub(crate) fuel: Option<usize>,
}

impl P1Ctx {
    /// The signal that ends every blocked call made with this context, and every later one.
    pub fn end_signal(&self) -> &EndSignal {
        &self.shared.end
    }
}

impl fmt::Debug for P1Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P1Ctx")
            .field("end", &self.shared.end)
            .finish_non_exhaustive()
    }
}
