//! What a group may use.

use std::sync::Arc;
use std::time::Duration;

use crate::types::budget::GroupBudget;

/// Upper bounds for a group and for each of its threads.
///
/// Everything is unlimited by default, except the wait of a spawn at the thread limit (50 ms) and
/// the host stack, which follows the engine's wasm stack.
///
/// Threads for which the host has no capacity are refused in any case. `thread-spawn` then returns
/// `-EAGAIN`, and [`SpawnError::NoCapacity`](crate::SpawnError::NoCapacity) names the system's
/// limit (on Linux, `vm.max_map_count` for about 10,000 threads, or a limited address space).
#[derive(Clone, Debug)]
pub struct Limits {
    pub(crate) threads: Option<u32>,
    pub(crate) threads_ever: Option<u64>,
    pub(crate) spawn_wait: Duration,
    pub(crate) host_stack: Option<usize>,
    pub(crate) wasm_stack: Option<usize>,
    pub(crate) shared_memory: Option<u64>,
    pub(crate) clamp_shared_memory: bool,
    pub(crate) memory: Option<usize>,
    pub(crate) memories: Option<usize>,
    pub(crate) table_elements: Option<usize>,
    pub(crate) tables: Option<usize>,
    pub(crate) instances: Option<usize>,
    pub(crate) fuel: Option<u64>,
    pub(crate) trap_on_grow_failure: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) budget: Option<Arc<GroupBudget>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: None,
            threads_ever: None,
            spawn_wait: Duration::from_millis(50),
            host_stack: None,
            wasm_stack: None,
            shared_memory: None,
            clamp_shared_memory: false,
            memory: None,
            memories: None,
            table_elements: None,
            tables: None,
            instances: None,
            fuel: None,
            trap_on_grow_failure: false,
            timeout: None,
            budget: None,
        }
    }
}

impl Limits {
    /// No limits but the defaults named above.
    pub fn new() -> Self {
        Self::default()
    }

    /// The most threads started by the guest that may be alive at once, without the main thread.
    ///
    /// At the limit `thread-spawn` waits for a thread to leave (see
    /// [`spawn_wait`](Self::spawn_wait)), then returns `-EAGAIN`.
    pub fn threads(mut self, max: u32) -> Self {
        self.threads = Some(max);
        self
    }

    /// The most threads the guest may start over the group's life; `-EAGAIN` afterwards.
    pub fn threads_ever(mut self, max: u64) -> Self {
        self.threads_ever = Some(max);
        self
    }

    /// How long `thread-spawn` waits at the limit of live threads for one to leave (default 50 ms).
    ///
    /// A guest sees a thread joined before the host knows that it has left. So without this wait, a
    /// spawn just after a join would fail now and then. The wait does not poll.
    pub fn spawn_wait(mut self, wait: Duration) -> Self {
        self.spawn_wait = wait;
        self
    }

    /// Stack of each host thread, in bytes.
    ///
    /// At least the engine's `max_wasm_stack` plus
    /// [`HOST_STACK_HEADROOM`](crate::HOST_STACK_HEADROOM), or the group is refused. The default is
    /// the engine's `max_wasm_stack` plus 1 MiB.
    pub fn host_stack(mut self, bytes: usize) -> Self {
        self.host_stack = Some(bytes);
        self
    }

    /// The most wasm stack a thread may have, in bytes. The engine's `max_wasm_stack` is what
    /// applies: the group is refused if that is larger.
    pub fn wasm_stack(mut self, bytes: usize) -> Self {
        self.wasm_stack = Some(bytes);
        self
    }

    /// Largest *maximum* a shared memory of the group may declare, imported or its own, in bytes.
    /// Checked before anything is reserved: wasmtime does not ask a limiter when a shared memory
    /// grows. The embedder itself limits a memory given by
    /// [`GroupBuilder::memory`](crate::GroupBuilder::memory), or defined in the linker. An
    /// unprepared module with a memory that it does not export is refused
    /// ([`GroupError::MemoryHidden`](crate::GroupError::MemoryHidden)).
    pub fn shared_memory(mut self, bytes: u64) -> Self {
        self.shared_memory = Some(bytes);
        self
    }

    /// Whether a shared memory that declares a larger maximum than
    /// [`shared_memory`](Self::shared_memory) allows is made with that limit as its maximum,
    /// instead of being refused (default: refused). Growing beyond it returns -1 to the guest.
    ///
    /// For guests that declare more than they use: Rust's `wasm32-wasip1-threads` programs declare
    /// 1 GiB. A memory whose initial size exceeds the limit is refused all the same; so is one that
    /// a module defines itself.
    pub fn clamp_shared_memory(mut self, clamp: bool) -> Self {
        self.clamp_shared_memory = clamp;
        self
    }

    /// The largest size of each unshared memory, in bytes. With a larger initial size the instance
    /// fails; a larger growth returns -1 to the guest.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// The most memories in each thread's store, without imported shared ones.
    pub fn memories(mut self, max: usize) -> Self {
        self.memories = Some(max);
        self
    }

    /// The most elements in each table. With a larger initial table the instance fails; a larger
    /// growth returns -1 to the guest.
    ///
    /// A table that preparation appended, with one element for each kind of wait on each shared
    /// memory, is not limited. Nor is a table of the guest's that is no longer than that and cannot
    /// grow.
    ///
    /// This also bounds how long the end waits for one `table.grow`, `fill`, `copy` or `init`.
    /// Nothing interrupts these: unlike memory operations they are not split.
    pub fn table_elements(mut self, max: usize) -> Self {
        self.table_elements = Some(max);
        self
    }

    /// The most tables in each thread's store, without the one that preparation appends to a module
    /// that waits on a shared memory.
    pub fn tables(mut self, max: usize) -> Self {
        self.tables = Some(max);
        self
    }

    /// The most instances in each thread's store.
    pub fn instances(mut self, max: usize) -> Self {
        self.instances = Some(max);
        self
    }

    /// Fuel of the whole group, in Wasmtime's units: what all threads together may consume. A
    /// larger number than `i64::MAX` means `i64::MAX`.
    ///
    /// *Bound.* All threads together never consume more than fuel + threads * longest block of the
    /// modules. Wasm looks whether any fuel is left at function entries and heads of loops. The
    /// code between two looks is a block. Each thread that runs at the end may be beyond the limit
    /// by one block. A `memory.fill`, `copy` or `init` is counted with all its bytes before it is
    /// done. A thread that is alone stops where it would stop in a plain Wasmtime store with as
    /// much fuel.
    ///
    /// *What is left unused.* A thread holds fuel while it runs wasm, and traps with "all fuel
    /// consumed" when the pool has too little for its next interval. An interval is a 512th of what
    /// was left as it entered wasm, divided by the number of threads, and a million units at most.
    /// It holds two intervals at most, and nothing while it waits, while it starts a thread, or
    /// after its end. So when a thread traps, less than one interval may be left in the pool, and
    /// more is held by threads that compute or are in host calls of the embedder's. Any thread can
    /// use up all that the others do not hold.
    ///
    /// *Needs* `Config::consume_fuel`. Wasm then runs on stacks of fibers, as with
    /// [`async_host_functions`](crate::GroupBuilder::async_host_functions), and so do the host
    /// functions it calls: [`build`](crate::GroupBuilder::build) refuses a group whose engine's
    /// `Config::async_stack_size` leaves them less than
    /// [`HOST_STACK_HEADROOM`](crate::HOST_STACK_HEADROOM). Each thread has such a stack beside its
    /// own. A host function that calls wasm in its store has to be an async one
    /// (`Func::call_async`); `Func::call` is an error there.
    ///
    /// In a host function of the embedder's, the store has what the group had as the thread entered
    /// wasm, less what this thread has consumed since;
    /// [`ThreadGroup::fuel_left`](crate::ThreadGroup::fuel_left) says what the pool has. If the
    /// function lowers the store's fuel, the group loses that; if it adds some, this thread may
    /// consume it.
    #[cfg(feature = "async")]
    pub fn fuel(mut self, units: u64) -> Self {
        self.fuel = Some(units);
        self
    }

    /// Turns a refused growth into a trap, instead of -1 for the guest, whether
    /// [`memory`](Self::memory), [`table_elements`](Self::table_elements), a declared maximum or
    /// the host refuses it (as `StoreLimitsBuilder::trap_on_grow_failure` does). The growth of a
    /// shared memory stays -1: wasmtime asks no limiter about it.
    pub fn trap_on_grow_failure(mut self, trap: bool) -> Self {
        self.trap_on_grow_failure = trap;
        self
    }

    /// Wall-clock time from the start of [`run`](crate::ThreadGroup::run) after which the group
    /// ends as [`Outcome::TimedOut`](crate::Outcome::TimedOut). It ends threads that compute and
    /// threads that are blocked.
    ///
    /// [`invoke`](crate::ThreadGroup::invoke) has one deadline for initialisation and call; each
    /// call of a [`Reactor`](crate::Reactor) has its own.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }
}
