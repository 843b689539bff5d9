//! How the store of each thread is filled and set up.

use std::fmt;

use wasmtime::Store;

use crate::group::builder::GroupBuilder;
use crate::thread::store::{MakeState, ThreadInfo};

/// Nothing has said yet how the store data of a [`GroupBuilder`]'s threads are made, so that
/// nothing can be built:
///
/// ```compile_fail,E0599
/// # fn none(engine: &wasmtime::Engine, module: &wasi_threads::ThreadModule) {
/// let linker = wasmtime::Linker::<u32>::new(engine);
/// wasi_threads::ThreadGroup::builder(engine, module, linker).build();
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct NoThreadData;

/// How the store data of a [`GroupBuilder`]'s threads are made.
pub struct ThreadData<T>(pub(super) MakeState<T>);

impl<T> fmt::Debug for ThreadData<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThreadData").finish_non_exhaustive()
    }
}

impl<T: Send + 'static, D> GroupBuilder<T, D> {
    /// Sets how each thread's store data is made. Before this or [`try_state`](Self::try_state) is
    /// called there is no [`build`](Self::build).
    ///
    /// For the main thread [`build`](Self::build) calls it. For every other thread, the thread that
    /// starts it calls it inside `thread-spawn` (a panic there ends the group as
    /// [`Outcome::Panicked`](crate::Outcome::Panicked)), or a host thread of the pool does earlier
    /// (see [`Pool::prewarmed`](crate::Pool::prewarmed)). In that case the thread may never be
    /// started, and its data is dropped unused.
    pub fn state(self, make: impl Fn(&ThreadInfo) -> T + Send + Sync + 'static) -> GroupBuilder<T> {
        self.try_state(move |thread| Ok(make(thread)))
    }

    /// [`state`](Self::state) that may fail. For the main thread the error is
    /// [`build`](Self::build)'s ([`GroupError::Store`](crate::GroupError::Store)); for another its
    /// `thread-spawn` returns `-EAGAIN`, and
    /// [`SpawnError::Instantiate`](crate::SpawnError::Instantiate) has the error's words. The group
    /// goes on.
    pub fn try_state(
        self,
        make: impl Fn(&ThreadInfo) -> wasmtime::Result<T> + Send + Sync + 'static,
    ) -> GroupBuilder<T> {
        GroupBuilder {
            settings: self.settings,
            data: ThreadData(Box::new(make)),
        }
    }

    /// Runs `set_up` on each thread's new store, before anything is instantiated in it. It is for a
    /// limiter of the embedder's own, for hostcall fuel, or for fuel of its own if
    /// [`Limits::fuel`](crate::Limits::fuel) is not set. Without either, a store has the most fuel
    /// there can be. It runs on the same threads as [`state`](Self::state); an error has the same
    /// consequences as one of [`try_state`](Self::try_state).
    ///
    /// What the group needs of the store stays the group's:
    ///
    /// - A limiter set here replaces the group's: [`memory`](crate::Limits::memory),
    ///   [`memories`](crate::Limits::memories), [`table_elements`](crate::Limits::table_elements),
    ///   [`tables`](crate::Limits::tables), [`instances`](crate::Limits::instances),
    ///   [`trap_on_grow_failure`](crate::Limits::trap_on_grow_failure) and, but for stacks and
    ///   shared memories, the [`memory_budget`](Self::memory_budget) then do not apply. It must
    ///   allow one table beside the guest's for each module that waits on a shared memory.
    /// - The epoch's deadline and callback are the group's, and are set again afterwards.
    /// - With [`Limits::fuel`](crate::Limits::fuel) the store's fuel and its call hook are the
    ///   group's: leave them alone, or the limit does not hold.
    pub fn store(
        mut self,
        set_up: impl Fn(&ThreadInfo, &mut Store<T>) -> wasmtime::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.settings.set_up_store = Some(Box::new(set_up));
        self
    }
}
