//! Starting threads of the guest from the host.

use std::sync::PoisonError;

use crate::group::core::observed_spawn;
use crate::group::thread_group::ThreadGroup;
use crate::types::error::SpawnError;
use crate::types::thread_id::ThreadId;

impl<T: Send + 'static> ThreadGroup<T> {
    /// Starts a thread of the guest from the host, like `wasi.thread-spawn`: the thread calls
    /// `wasi_thread_start(id, arg)` in an instance of its own. It is a thread like any other: it
    /// counts for the limits, its trap or exit ends the group, and the end of the group ends it.
    ///
    /// It is meant for a [`Reactor`](crate::Reactor) ([`Reactor::group`](crate::Reactor::group))
    /// whose host has the work for a pool of workers in the guest, and for host functions of a
    /// running group. Guest and host agree on the meaning of `arg`. A guest made with wasi-libc or
    /// Rust needs a stack and thread-local storage for each thread. Its own `pthread_create` makes
    /// them and passes them as `arg`; the host cannot. So such a guest needs an export that makes
    /// them and returns `arg`, or that starts the thread itself.
    ///
    /// At the limit of live threads it blocks like `thread-spawn`, for
    /// [`Limits::spawn_wait`](crate::Limits::spawn_wait) at most, without a lock. A failure does
    /// not count in the group's [`spawn_failures`](Self::spawn_failures). An
    /// [`Observer`](crate::Observer) is told of it, with the main thread as parent if no thread of
    /// the group makes the call. With [`detect_deadlock`](crate::GroupBuilder::detect_deadlock),
    /// hold a [`HostWriter`](crate::waits::HostWriter) while you may call this. A call while the
    /// group ends may start a host thread that runs nothing of the guest, and that is joined when
    /// the group is dropped.
    ///
    /// # Errors
    ///
    /// [`SpawnError`], as for the guest. Also [`NotRunning`](SpawnError::NotRunning) before the
    /// group runs, and [`Scheduled`](SpawnError::Scheduled) for a group with a
    /// [schedule](crate::schedule).
    pub fn spawn(&self, arg: i32) -> Result<ThreadId, SpawnError> {
        if self.core.life.turns().is_some() {
            return Err(SpawnError::Scheduled);
        }
        let main = self.main.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = main.is_none();
        drop(main);
        if !runs {
            return Err(SpawnError::NotRunning);
        }
        let spawned = match self.core.life.watch() {
            None => self.core.spawn(arg),
            Some(watch) => observed_spawn(watch, || self.core.spawn(arg)),
        };
        spawned.map(|(id, _)| id)
    }
}
