//! Threads of the guest that the host starts.

use std::sync::PoisonError;

use crate::group::core::observed_spawn;
use crate::group::thread_group::ThreadGroup;
use crate::types::error::SpawnError;
use crate::types::thread_id::ThreadId;

impl<T: Send + 'static> ThreadGroup<T> {
    /// Starts a thread of the guest from the host, as the guest does by `wasi.thread-spawn`: calls
    /// `wasi_thread_start(id, arg)` in an instance of the thread's own. The thread is one as any
    /// other: it counts for the limits, its trap or exit ends the group, and the end of the group
    /// ends it.
    ///
    /// For a [`Reactor`](crate::Reactor) ([`Reactor::group`](crate::Reactor::group)), whose host
    /// has what a pool of workers in the guest waits for, and for host functions of a group that
    /// runs. What `arg` means is for guest and host to agree on. A guest made with wasi-libc or
    /// Rust keeps a stack and thread-local storage for each thread, which its own `pthread_create`
    /// makes and passes as `arg`: the host cannot. So the guest has an export that makes them and
    /// returns `arg`, or starts the thread itself.
    ///
    /// At the limit of live threads it blocks as `thread-spawn` does, for
    /// [`Limits::spawn_wait`](crate::Limits::spawn_wait). It holds no lock meanwhile. A failure is
    /// not among the group's [`spawn_failures`](Self::spawn_failures); an
    /// [`Observer`](crate::Observer) is told of it, with the main thread as parent where no thread
    /// of the group makes the call. With [`detect_deadlock`](crate::GroupBuilder::detect_deadlock),
    /// hold a [`HostWriter`](crate::waits::HostWriter) for as long as you may call this. A call
    /// while the group ends may start a host thread that runs nothing of the guest's, and is joined
    /// when the group is dropped.
    ///
    /// # Errors
    ///
    /// [`SpawnError`]: as for the guest, and [`NotRunning`](SpawnError::NotRunning) before the
    /// group runs, [`Scheduled`](SpawnError::Scheduled) for a group with a
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
