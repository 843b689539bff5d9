//! What each store keeps of its own.

use super::P1Ctx;
use crate::path::fifo_open::OpenInProgress;
use crate::path::operations::WasiPaths;
use std::fmt;
use std::mem::MaybeUninit;
use wasmtime::{Memory, SharedMemory};

/// What one store holds: its context, the memory of its instance, and buffers that its calls reuse.
///
/// Each thread of a program has its own store, and so its own `P1State`, on a clone of one
/// [`P1Ctx`].
///
/// # Which memory
///
/// WASI calls read and write the calling instance's memory. Looking it up by name at every call
/// costs more than a clock read, so a state remembers it:
///
/// * [`with_memory`](Self::with_memory): a shared memory known before instantiation. WASI calls
///   from a start function work.
/// * [`new`](Self::new): the export `memory` of the first instance that makes a call is looked up
///   then and kept. For stores with *one* instance that uses WASI.
/// * [`with_lookup`](Self::with_lookup): looked up at every call. For stores in which several
///   instances, each with a memory of its own, use WASI.
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

/// What calls of one store use again, so that they need not allocate.
pub(crate) struct Scratch {
    pub(crate) paths: WasiPaths,
    /// The open this store's thread is in.
    pub(crate) open: OpenInProgress,
    /// Directory entries on their way from the kernel.
    pub(crate) dirents: Vec<MaybeUninit<u8>>,
    /// Directory entries on their way to the guest.
    pub(crate) entries: Vec<u8>,
    /// Where in them the cookies are, and the positions that these stand for.
    pub(crate) positions: Vec<(usize, u64)>,
}

impl P1State {
    fn build(ctx: P1Ctx, memory: MemoryOf) -> Self {
        let scratch = Scratch {
            paths: WasiPaths::new(ctx.shared.fs.clone()),
            open: OpenInProgress::default(),
            dirents: Vec::new(),
            entries: Vec::new(),
            positions: Vec::new(),
        };
        Self {
            ctx,
            memory,
            scratch,
        }
    }

    /// For a store with one instance that uses WASI, whose memory is found at its first call.
    ///
    /// A call made while the instance is still being made (by a module's start function) finds the
    /// memory too, if the module exports it.
    pub fn new(ctx: P1Ctx) -> Self {
        Self::build(ctx, MemoryOf::First)
    }

    /// For a store whose instance imports `memory`.
    pub fn with_memory(ctx: P1Ctx, memory: SharedMemory) -> Self {
        Self::build(ctx, MemoryOf::Shared(memory))
    }

    /// For a store in which several instances use WASI, each with its own memory, looked up at
    /// every call.
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
