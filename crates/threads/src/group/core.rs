//! What the threads of one group run on: the linked module, the stores, the host threads.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Error, Instance, InstancePre, SharedMemory, Store, StoreContextMut};

use crate::host::pool::Hosts;
use crate::life::Life;
use crate::memory::define::OwnMemories;
use crate::memory::words::same_memory;
use crate::module::prepare::{ThreadEntry, ThreadModule};
#[cfg(feature = "async")]
use crate::sys::running;
use crate::thread::block_on::block_on;
use crate::thread::current;
use crate::thread::guest_thread::{Entry, Guest};
use crate::thread::linked::{How, Instances, Linked};
use crate::thread::prewarm::{Ready, Stock};
use crate::thread::store::Stores;
#[cfg(feature = "async")]
use crate::types::error::GroupEnded;
use crate::types::error::SpawnError;
use crate::types::limits::Limits;
use crate::types::thread_id::ThreadId;
use crate::watch::observer::{FailedSpawn, Spawn, Watch};

/// How an error becomes an exit code.
pub(crate) type ExitCode = fn(&Error) -> Option<i32>;

/// What runs around each thread.
pub(crate) type Around = Box<dyn Fn(ThreadId, &mut dyn FnMut()) + Send + Sync>;

/// What sees the store of a thread whose trap ended the group.
pub(crate) type OnTrap<T> = Box<dyn Fn(ThreadId, &Error, StoreContextMut<'_, T>) + Send + Sync>;

/// The inside of a [`ThreadGroup`](crate::ThreadGroup), shared with its threads.
pub(crate) struct Core<T: 'static> {
    pub(crate) life: Arc<Life>,
    pub(crate) hosts: Arc<Hosts>,
    pub(crate) module: ThreadModule,
    pub(crate) linked: Linked<T>,
    /// The shared memories that are the same in every store, without duplicates.
    pub(crate) memories: Vec<SharedMemory>,
    /// Those of single instances, where waits are wasmtime's.
    pub(crate) own_memories: Arc<OwnMemories>,
    /// Whether it has to be seen on the main instance that its `memory` is a shared one.
    pub(crate) doubtful_memory: bool,
    pub(crate) stores: Stores<T>,
    pub(crate) stock: Stock<T>,
    pub(crate) limits: Limits,
    pub(crate) exit_code: ExitCode,
    /// Whether wasm is called through wasmtime's async entry points.
    #[cfg(feature = "async")]
    pub(crate) async_calls: bool,
    pub(crate) grace: Option<Duration>,
    pub(crate) around: Option<Around>,
    pub(crate) on_trap: Option<OnTrap<T>>,
    /// Most threads that are described when the time limit passes.
    pub(crate) timeout_report: Option<usize>,
}

impl<T: Send + 'static> Core<T> {
    /// Starts a thread for the guest: all of `wasi.thread-spawn` but the errno.
    ///
    /// The place is taken first and given back by every failure. A prepared module is instantiated
    /// here, on the spawning thread, so that a failure is the caller's; it runs no guest code. An
    /// unprepared module may have a start function, which belongs on the new thread's own stack, so there
    /// the new thread instantiates.
    ///
    /// The id, and whether the instance was made ahead.
    pub(crate) fn spawn(self: &Arc<Self>, arg: i32) -> Result<(ThreadId, bool), SpawnError> {
        if self.module.thread_entry() != ThreadEntry::Present {
            return Err(SpawnError::NoEntryPoint);
        }
        let failed = |error: Error| SpawnError::Instantiate(format!("{error:#}"));
        let entry = Entry::Thread { arg };
        let core = Arc::clone(self);
        let ready = self.stock.take();
        let made_ahead = ready.is_some();
        let guest = match ready {
            Some(Ready {
                id,
                store,
                instances,
            }) => {
                let mut id = Some(id);
                let slot = self.life.enter(&self.limits, &mut id);
                match slot {
                    Ok(slot) => Guest::with_instances(core, slot, store, instances, entry),
                    Err(error) => {
                        // Another spawn may have use for it.
                        if let Some(id) = id {
                            self.stock.put(Ready {
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
                let slot = self.life.enter(&self.limits, &mut None)?;
                let mut guest = Guest::new(core, slot, entry).map_err(failed)?;
                if self.module.is_prepared() {
                    guest.instantiate().map_err(failed)?;
                }
                guest
            }
        };
        let id = guest.id();
        let core = Arc::clone(self);
        self.hosts
            .dispatch(Box::new(move || {
                guest.run();
                core.stock.refill(&core);
            }))
            .map_err(|error| SpawnError::HostThread(error.to_string()))?;
        Ok((id, made_ahead))
    }

    /// Makes the instances of a store and binds their waits. Of prepared modules it runs no guest code.
    pub(crate) fn instantiate(&self, store: &mut Store<T>) -> Result<Instances, Error> {
        self.stores.caps().apply(|| self.make_instances(store))
    }

    fn make_instances(&self, store: &mut Store<T>) -> Result<Instances, Error> {
        let Linked {
            main,
            preloaded,
            how,
        } = &self.linked;
        let mut beneath = Vec::new();
        let instance = match how {
            How::Once(pre) => self.make_instance(pre, store)?,
            How::PerStore(linker) => {
                let mut linker = linker.clone();
                for (name, part) in preloaded {
                    let pre = linker.instantiate_pre(part.module.module())?;
                    let instance = self.make_instance(&pre, store)?;
                    part.binder.bind(store, instance)?;
                    for export in part.module.module().exports() {
                        let export = export.name();
                        if !part.module.is_appended_export(export)
                            && let Some(item) = instance.get_export(&mut *store, export)
                        {
                            linker.define(&mut *store, name, export, item)?;
                        }
                    }
                    beneath.push(instance);
                }
                let pre = linker.instantiate_pre(main.module.module())?;
                self.make_instance(&pre, store)?
            }
        };
        main.binder.bind(store, instance)?;
        let mut own = Vec::new();
        let parts = preloaded.iter().map(|(_, part)| part);
        for (part, instance) in std::iter::once(main)
            .chain(parts)
            .zip(std::iter::once(&instance).chain(&beneath))
        {
            for name in &part.own_memories {
                let memory = instance.get_shared_memory(&mut *store, name);
                let known =
                    |memory: &SharedMemory| self.memories.iter().any(|it| same_memory(it, memory));
                own.extend(memory.filter(|memory| !known(memory)));
            }
        }
        Ok(Instances {
            main: instance,
            preloaded: beneath.into(),
            _own_memories: (!own.is_empty()).then(|| self.own_memories.hold(own)),
        })
    }

    fn make_instance(&self, pre: &InstancePre<T>, store: &mut Store<T>) -> Result<Instance, Error> {
        #[cfg(feature = "async")]
        if self.async_calls {
            let made = pre.instantiate_async(store);
            // Of a prepared module this is ready at once: there is no start function to run.
            return block_on(self.life.token(), made).unwrap_or_else(|| Err(GroupEnded.into()));
        }
        pre.instantiate(store)
    }
}

/// The host's side of `wasi.thread-spawn`.
pub(crate) fn thread_spawn<T: Send + 'static>(
    core: Option<&Weak<Core<T>>>,
    caller: Caller<'_, T>,
    arg: i32,
) -> Result<i32, Error> {
    let _mark = running::mark(false);
    // Without a core no thread of the group can be running: it holds the core.
    let Some(core) = core.and_then(Weak::upgrade) else {
        return Ok(SpawnError::Ended.errno());
    };
    match core.stores.fuel() {
        None => Ok(spawn_for_guest(&core, arg)),
        // The new thread needs some, and this one may hold all.
        Some(fuel) => fuel.without(caller, |_| spawn_for_guest(&core, arg)),
    }
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

/// Does `spawn`, and tells of it.
fn observed_spawn(
    watch: &Watch,
    spawn: impl FnOnce() -> Result<(ThreadId, bool), SpawnError>,
) -> Result<(ThreadId, bool), SpawnError> {
    // Threads that spawn are threads of the group.
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
