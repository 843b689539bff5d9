//! What the threads of one program share, and what each store keeps of its own.

pub(crate) mod builder;
pub(crate) mod clocks;
mod from_wasi;
mod inherit;
pub(crate) mod observe;
pub(crate) mod push;
pub(crate) mod random_source;

use crate::blocking::EndSignal;
use crate::ctx::clocks::Clocks;
use crate::ctx::observe::CallObserver;
use crate::ctx::random_source::Random;
use crate::descriptor::fds::Fds;
use crate::path::fifo_open::Opens;
use crate::path::operations::Scratch;
use std::fmt;
use std::sync::Arc;
use wasmtime::{Memory, SharedMemory};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;

/// Everything a program has of WASI preview1: arguments, environment, clocks, random numbers, descriptors.
///
/// Cloning is one reference count; the clones are one and the same context, and any number of threads may use it at
/// once. Made by [`P1CtxBuilder`](crate::P1CtxBuilder). A store gets at it through a [`P1State`].
#[derive(Clone)]
pub struct P1Ctx {
    pub(crate) shared: Arc<Shared>,
}

/// The contents of a context. Nothing in here is behind a lock that two calls could meet at, except the descriptor
/// numbers while they change.
pub(crate) struct Shared {
    pub(crate) args: Strings,
    pub(crate) env: Strings,
    pub(crate) fds: Fds,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    pub(crate) end: EndSignal,
    /// What is being opened and moved just now.
    pub(crate) opens: Arc<Opens>,
    pub(crate) limits: Limits,
    pub(crate) observer: Option<Arc<dyn CallObserver>>,
    /// Whether the observer is told of calls that may have to wait only.
    pub(crate) observe_waiting: bool,
    /// Whether a write that nobody reads any more ends the guest.
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

/// NUL-terminated strings, packed the way `args_get` and `environ_get` hand them out.
pub(crate) struct Strings {
    pub(crate) bytes: Box<[u8]>,
    /// Where each string starts.
    pub(crate) starts: Box<[u32]>,
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

/// What one store holds: its context, the memory of its instance, and buffers that its calls reuse.
///
/// Each thread of a program has its own store, and so its own `P1State`, on a clone of one [`P1Ctx`].
///
/// # Which memory
///
/// WASI calls read and write the calling instance's memory. Looking it up by name at every call costs more than a
/// clock read, so a state remembers it:
///
/// * [`with_memory`](Self::with_memory): a shared memory known before instantiation. WASI calls from a start function
///   work.
/// * [`new`](Self::new): the export `memory` of the first instance that makes a call is looked up then and kept. For
///   stores with *one* instance that uses WASI.
/// * [`with_lookup`](Self::with_lookup): looked up at every call. For stores in which several instances, each with a
///   memory of its own, use WASI.
pub struct P1State {
    pub(crate) ctx: P1Ctx,
    pub(crate) memory: MemoryOf,
    pub(crate) scratch: Scratch,
}

/// Where the guest's memory is.
#[derive(Clone)]
pub(crate) enum MemoryOf {
    /// To be found at the first call.
    First,
    /// To be found at every call.
    Every,
    Own(Memory),
    Shared(SharedMemory),
}

impl P1State {
    fn build(ctx: P1Ctx, memory: MemoryOf) -> Self {
        let scratch = Scratch::new(ctx.shared.fs.clone());
        Self {
            ctx,
            memory,
            scratch,
        }
    }

    /// For a store with one instance that uses WASI, whose memory is found at its first call.
    ///
    /// A call made while the instance is still being made (by a module's start function) finds the memory too, if the
    /// module exports it.
    pub fn new(ctx: P1Ctx) -> Self {
        Self::build(ctx, MemoryOf::First)
    }

    /// For a store whose instance imports `memory`.
    pub fn with_memory(ctx: P1Ctx, memory: SharedMemory) -> Self {
        Self::build(ctx, MemoryOf::Shared(memory))
    }

    /// For a store in which several instances use WASI, each with its own memory, looked up at every call.
    pub fn with_lookup(ctx: P1Ctx) -> Self {
        Self::build(ctx, MemoryOf::Every)
    }

    /// The context.
    pub fn ctx(&self) -> &P1Ctx {
        &self.ctx
    }
}

impl fmt::Debug for P1State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P1State")
            .field("ctx", &self.ctx)
            .finish_non_exhaustive()
    }
}
