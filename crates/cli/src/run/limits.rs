//! How much the program may use.

use std::time::Duration;

use wasi_threads::Limits;

/// How much the program may use; `None` is without a limit.
pub(crate) struct LimitOptions {
    pub(crate) threads: Option<u32>,
    pub(crate) host_stack: Option<usize>,
    pub(crate) memory: Option<usize>,
    pub(crate) memories: Option<usize>,
    /// The most bytes that the program may make the host keep.
    pub(crate) total_memory: Option<u64>,
    pub(crate) table_elements: Option<usize>,
    pub(crate) tables: Option<usize>,
    pub(crate) instances: Option<usize>,
    pub(crate) fuel: Option<u64>,
    /// The time limit, from the beginning of the run: preparation counts.
    pub(crate) timeout: Option<Duration>,
    pub(crate) descriptors: Option<usize>,
    /// The most bytes that one `random_get` may ask for.
    pub(crate) random: Option<u64>,
    /// The most bytes that one host call may copy.
    pub(crate) hostcall_fuel: Option<usize>,
    /// Whether a refused growth is a trap.
    pub(crate) trap_on_grow_failure: bool,
}

impl LimitOptions {
    /// The limits that the group of threads enforces, with the time that is left.
    pub(crate) fn of_the_group(&self, timeout: Option<Duration>) -> Limits {
        /// Applies a limit if it was given.
        fn given<V>(
            limits: Limits,
            value: Option<V>,
            set: impl FnOnce(Limits, V) -> Limits,
        ) -> Limits {
            match value {
                Some(value) => set(limits, value),
                None => limits,
            }
        }
        let limits = given(Limits::new(), self.threads, Limits::threads);
        let limits = given(limits, self.host_stack, Limits::host_stack);
        // Wasmtime asks no limiter when a shared memory grows, so the limit applies to its maximum.
        let limits = given(limits, self.memory, |limits, bytes| {
            limits.memory(bytes).shared_memory(bytes as u64)
        });
        let limits = given(limits, self.memories, Limits::memories);
        let limits = given(limits, self.table_elements, Limits::table_elements);
        let limits = given(limits, self.tables, Limits::tables);
        let limits = given(limits, self.instances, Limits::instances);
        let limits = given(limits, timeout, Limits::timeout);
        let limits = limits.trap_on_grow_failure(self.trap_on_grow_failure);
        given(limits, self.fuel, Limits::fuel)
    }
}
