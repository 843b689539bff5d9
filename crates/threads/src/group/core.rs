//! What a group keeps until its end, and how it starts a thread for the guest.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Error};

use crate::host::pool::Hosts;
use crate::host::start_error::StartError;
use crate::life::{Life, Native, profiling};
use crate::module::thread_module::ThreadEntry;
use crate::schedule::Why;
use crate::sys::running;
use crate::thread::current;
use crate::thread::entry_point::EntryPoint;
use crate::thread::guest_thread::Guest;
use crate::thread::prewarm::{Prewarmed, Stock};
use crate::thread::program::Program;
use crate::types::error::{SpawnError, in_words};
use crate::types::fuel;
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;
use crate::watch::noted_call;
use crate::watch::observer::{FailedSpawn, Spawn, Watch};

/// The inside of a [`ThreadGroup`](crate::ThreadGroup), shared with its threads.
pub(crate) struct Core<T: 'static> {
    pub(crate) life: Arc<Life>,
    pub(crate) program: Arc<Program<T>>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) stock: Stock<T>,
    pub(crate) limits: Limits,
    pub(crate) grace: Option<Duration>,
    /// The most threads that are described when the time limit passes.
    pub(crate) timeout_report: Option<usize>,
}

impl<T: Send + 'static> Core<T> {
    /// Starts a thread for the guest: all of `wasi.thread-spawn` except the errno. Returns the id,
    /// and whether the instance was made ahead.
    ///
    /// The place is taken first, and every failure gives it back. A prepared module is instantiated
    /// here, on the spawning thread, so that the caller gets a failure; that runs no guest code. An
    /// unprepared module may have a start function, which belongs on the new thread's own stack, so
    /// the new thread instantiates it.
    pub(crate) fn spawn(self: &Arc<Self>, arg: i32) -> Result<(ThreadId, bool), SpawnError> {
        let module = self.program.module();
        if module.thread_entry() != ThreadEntry::Present {
            return Err(SpawnError::NoEntryPoint);
        }
        let failed = |error: Error| SpawnError::Instantiate(in_words(&error));
        let entry = EntryPoint::Thread { arg };
        let program = Arc::clone(&self.program);
        let prewarmed = self.stock.take();
        let made_ahead = prewarmed.is_some();
        let mut guest = match prewarmed {
            Some(Prewarmed {
                id,
                store,
                instances,
            }) => {
                let mut id = Some(id);
                let place = self.life.enter(&self.limits, &mut id);
                match place {
                    Ok(place) => Guest::with_instances(program, place, store, instances, entry),
                    Err(error) => {
                        // Another spawn can use it.
                        if let Some(id) = id {
                            self.stock.put(Prewarmed {
                                id,
                                store,
                                instances,
                            });
                        }
                        return Err(error);
                    }
                }
            }
            None => {
                let place = self.life.enter(&self.limits, &mut None)?;
                let mut guest = Guest::new(program, place, entry).map_err(failed)?;
                if module.is_prepared() {
                    guest.instantiate().map_err(failed)?;
                }
                guest
            }
        };
        let id = guest.id();
        let turns = self.life.turns();
        if let Some(turns) = turns {
            let parent = current::get().map(|thread| thread.id());
            guest.set_member(turns.register(id, parent));
        }
        let accesses = self.life.accesses();
        if let Some(observer) = accesses {
            let parent = current::get().map_or(ThreadId::MAIN, |thread| thread.id());
            observer.spawned(id, parent);
        }
        let core = Arc::clone(self);
        let started = self
            .hosts
            .dispatch(Box::new(move || {
                guest.run();
                core.stock.refill(&core.program);
            }))
            .map_err(|error| match error {
                StartError::NoCapacity(limit) => SpawnError::NoCapacity(limit.to_string()),
                StartError::System(error) => SpawnError::HostThread(error.to_string()),
            });
        if let (Some(turns), Err(error)) = (turns, &started) {
            turns.unregister(id, error.to_string());
        }
        if let (Some(observer), Err(_)) = (accesses, &started) {
            observer.ended(id);
        }
        started?;
        Ok((id, made_ahead))
    }
}

/// The host's side of `wasi.thread-spawn`.
pub(crate) fn thread_spawn<T: Send + 'static>(
    core: Option<&Weak<Core<T>>>,
    caller: Caller<'_, T>,
    arg: i32,
) -> Result<i32, Error> {
    let _mark = running::mark(false);
    // Every running thread of the group holds the core, so it is always there.
    let Some(core) = core.and_then(Weak::upgrade) else {
        return Ok(SpawnError::Ended.errno());
    };
    let profiles = core.life.native().is_some_and(Native::profiles);
    let before = profiles.then(|| noted_call::note(profiling::SPAWN));
    let result = match core.program.stores.fuel() {
        None => Ok(spawn_for_guest(&core, arg)),
        // The new thread needs some fuel, and this one may wait for another to leave.
        Some(_) => fuel::without(caller, |_| spawn_for_guest(&core, arg)),
    };
    if let Some(before) = before {
        noted_call::note(before);
    }
    if let (Some(turns), Ok(1..)) = (core.life.turns(), &result) {
        let _mark = running::mark(true);
        turns
            .changed(Why::Spawn, &mut || ())
            .map_err(|_| core.life.unwinding())?;
    }
    result
}

fn spawn_for_guest<T: Send + 'static>(core: &Arc<Core<T>>, arg: i32) -> i32 {
    let result = match core.life.watch() {
        None => core.spawn(arg),
        Some(watch) => observed_spawn(watch, || core.spawn(arg)),
    };
    match result {
        Ok((id, _)) => id.as_i32(),
        Err(error) => {
            core.life.note_spawn_failure(&error);
            error.errno()
        }
    }
}

/// Does `spawn`, and tells the observer.
pub(super) fn observed_spawn(
    watch: &Watch,
    spawn: impl FnOnce() -> Result<(ThreadId, bool), SpawnError>,
) -> Result<(ThreadId, bool), SpawnError> {
    // A thread that spawns is a thread of the group, unless the host spawns.
    let parent = current::get().map_or(ThreadId::MAIN, |thread| thread.id());
    let began = Instant::now();
    let result = spawn();
    let took = began.elapsed();
    match &result {
        Ok((thread, made_ahead)) => watch.observer().spawned(&Spawn {
            thread: *thread,
            parent,
            began,
            took,
            made_ahead: *made_ahead,
        }),
        Err(error) => watch.observer().spawn_failed(&FailedSpawn {
            parent,
            began,
            took,
            error,
        }),
    }
    result
}
