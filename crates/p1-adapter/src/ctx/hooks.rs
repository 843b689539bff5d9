//! What an embedder puts in place of the host in a call.

use crate::abi::types::Filestat;
use crate::ctx::builder::P1CtxBuilder;
use crate::ctx::clock_source::ClockSource;
use crate::ctx::memory_use::MemoryUse;
use crate::ctx::pins::Pins;
use crate::ctx::unrepeatable::{NotRepeatable, Unrepeatable};
use std::sync::Arc;
use wasmtime::Result;

type BeforeCall = Arc<dyn Fn(&'static str) -> Result<()> + Send + Sync>;
type LetsPass = Arc<dyn Fn(Unrepeatable) -> bool + Send + Sync>;
type OnMemoryUse = Arc<dyn Fn(&MemoryUse) + Send + Sync>;
type OnYield = Arc<dyn Fn() -> Result<()> + Send + Sync>;

/// Those of one context.
#[derive(Default)]
pub(crate) struct HostHooks {
    pub(crate) before_call: Option<BeforeCall>,
    pub(crate) on_yield: Option<OnYield>,
    pub(crate) ordered_listings: bool,
    pub(crate) pins: Option<Pins>,
    pub(crate) whole_reads: bool,
    pub(crate) unrepeatable: Option<LetsPass>,
    pub(crate) memory_use: Option<OnMemoryUse>,
}

impl HostHooks {
    /// What the hook before calls says.
    pub(crate) fn before(&self, function: &'static str) -> Result<()> {
        match &self.before_call {
            Some(hook) => hook(function),
            None => Ok(()),
        }
    }

    /// Tells that a call has met `what`.
    ///
    /// # Errors
    ///
    /// The trap that the call ends with, if the embedder does not let that pass.
    pub(crate) fn meet(&self, what: Unrepeatable) -> Result<()> {
        match &self.unrepeatable {
            Some(lets_pass) if !lets_pass(what) => Err(wasmtime::Error::new(NotRepeatable(what))),
            _ => Ok(()),
        }
    }

    /// What the guest is told of a file.
    #[inline]
    pub(crate) fn stat(&self, found: Filestat) -> Filestat {
        match &self.pins {
            None => found,
            Some(pins) => pins.stat(found),
        }
    }

    /// What the guest is told for the inode number `ino` of a listed file.
    #[inline]
    pub(crate) fn inode(&self, ino: u64) -> u64 {
        match &self.pins {
            None => ino,
            Some(pins) => pins.inode(ino),
        }
    }
}

impl P1CtxBuilder {
    /// Replaces all clocks, and what a guest sleeps by: `poll_oneoff` then waits for time only
    /// there. [`wall_clock`] and [`monotonic_clock`] are not asked any more.
    ///
    /// A call that waits for a descriptor looks at it, and sleeps for a millisecond by this clock
    /// before it looks again. So threads that run one at a time let each other run. Pipes may be
    /// waited for in place: [`whole_reads`](Self::whole_reads). In async stores a poll makes its
    /// thread sleep, and all other waits give the thread back.
    ///
    /// [`wall_clock`]: Self::wall_clock
    /// [`monotonic_clock`]: Self::monotonic_clock
    pub fn clocks(&mut self, source: Arc<dyn ClockSource>) -> &mut Self {
        self.source = Some(source);
        self
    }

    /// Runs `hook` at the beginning of every call, with the function's name in the witx file
    /// (`fd_write`). It runs on the calling thread, after the [observer](Self::call_observer) was
    /// told and before the end signal is looked at. No lock of the adapter's is held, so the hook
    /// may block. In an async store it blocks the thread of the task.
    ///
    /// An error ends the call with this trap, and nothing of the call is done. Without a hook a
    /// call costs what it did.
    pub fn before_call(
        &mut self,
        hook: impl Fn(&'static str) -> Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.before_call = Some(Arc::new(hook));
        self
    }

    /// Runs `hook` for `sched_yield`, in place of the operating system's. An error ends the call
    /// with this trap.
    pub fn on_yield(&mut self, hook: impl Fn() -> Result<()> + Send + Sync + 'static) -> &mut Self {
        self.hooks.on_yield = Some(Arc::new(hook));
        self
    }

    /// Tells `hook` which bytes of guest memory a call has read or written for the guest, after it
    /// has done so. These are the data of reads, writes and sockets, as far as they went, and the
    /// lists of their buffers; paths; directory entries; random bytes. Other results and structures
    /// of a call are not told. The hook runs on the calling thread, as part of the call, and must
    /// not block. It is for a host that checks accesses, such as one that looks for races. Without
    /// a hook a call costs what it did.
    pub fn on_memory_use(
        &mut self,
        hook: impl Fn(&MemoryUse) + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.memory_use = Some(Arc::new(hook));
        self
    }

    /// Lists directories in the order of their names' bytes, behind `.` and `..`, whatever the file
    /// system does (default: as it lists them). A listing is read whole when it begins, and kept
    /// while the directory is open. Names made later are in the next listing, and names removed
    /// meanwhile are left out. Cookies are places in the listing, from 1 on.
    pub fn ordered_listings(&mut self, ordered: bool) -> &mut Self {
        self.hooks.ordered_listings = ordered;
        self
    }

    /// Tells the guest attributes of files that do not depend on where the files are (default: the
    /// host's):
    ///
    /// * inode numbers count from 1 in the order in which the guest first sees files, by attributes
    ///   or in a listing; they are kept for the life of the context, with some 50 bytes for each
    ///   file;
    /// * the number of links of a file is 1, plus what the guest has linked and less what it has
    ///   unlinked; that of a directory is 1, and its size 0;
    /// * all times are `time` (nanoseconds since 1970), except those that the guest has set, until
    ///   the file is written.
    ///
    /// Types and sizes of files stay the host's. Removing, linking, renaming and setting times then
    /// cost one more look at the file.
    pub fn pinned_metadata(&mut self, time: u64) -> &mut Self {
        self.hooks.pins = Some(Pins::new(time));
        self
    }

    /// Makes reads and writes of streams depend on the bytes alone, and not on when and in which
    /// pieces they come (default: as the host has it). For inherited standard streams, pipes that
    /// were handed over and the embedder's own streams:
    ///
    /// * a `fd_read` waits until its buffers are full or the stream is at its end; on a terminal,
    ///   for a line;
    /// * the guest's `NONBLOCK` has no effect: all that is written is written, and no call fails
    ///   with `again`;
    /// * a poll finds them ready, with one byte to read and no hangup;
    /// * inherited standard streams are bytes in order in one direction, whatever they are at the
    ///   host: of no type (so no terminal), with no attributes and no position.
    ///
    /// Such a wait is made in the host, inside the call, and no [clock](Self::clocks) is asked
    /// meanwhile. Set it before `build`. Sockets, FIFOs opened by a path and devices are as without
    /// it. Do not hand over a pipe of which one guest has both ends: if threads run one at a time,
    /// its reader would wait for itself.
    pub fn whole_reads(&mut self, whole: bool) -> &mut Self {
        self.hooks.whole_reads = whole;
        self
    }

    /// Asks `lets_pass` about everything that makes a run depend on its host: [`Unrepeatable`]
    /// lists it. The call asks each time before a socket, FIFO or device is used, and before the
    /// guest is told an error. After `false` the call ends with the trap [`NotRepeatable`].
    /// Default: all passes, and nothing is asked.
    pub fn unrepeatable(
        &mut self,
        lets_pass: impl Fn(Unrepeatable) -> bool + Send + Sync + 'static,
    ) -> &mut Self {
        self.hooks.unrepeatable = Some(Arc::new(lets_pass));
        self
    }
}
