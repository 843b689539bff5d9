//! What the threads of one group have in common: their modules, how their stores are made, and what
//! an error of theirs means.

use std::sync::Arc;

use wasmtime::{Error, Instance, InstancePre, SharedMemory, Store, StoreContextMut, WasmBacktrace};

use crate::life::Life;
use crate::memory::define::OwnMemories;
use crate::memory::words::same_memory;
use crate::module::thread_module::ThreadModule;
#[cfg(feature = "async")]
use crate::thread::block_on::block_on;
use crate::thread::linked::{How, Instances, Linked};
use crate::thread::store::Stores;
use crate::thread::thread_store::ThreadStore;
#[cfg(feature = "async")]
use crate::types::error::GroupEnded;
use crate::types::thread_id::ThreadId;

/// How an error becomes an exit code.
pub(crate) type ExitCode = fn(&Error) -> Option<i32>;

/// What runs around each thread.
pub(crate) type Around = Box<dyn Fn(ThreadId, &mut dyn FnMut()) + Send + Sync>;

/// What sees the store of a thread whose trap ended the group.
pub(crate) type OnTrap<T> = Box<dyn Fn(ThreadId, &Error, StoreContextMut<'_, T>) + Send + Sync>;

/// What every thread of a group runs, and how.
pub(crate) struct Program<T: 'static> {
    pub(crate) life: Arc<Life>,
    pub(crate) linked: Linked<T>,
    /// The shared memories that are the same in every store, without duplicates.
    pub(crate) memories: Vec<SharedMemory>,
    /// The shared memories of single instances, whose waits are Wasmtime's.
    pub(crate) own_memories: Arc<OwnMemories>,
    /// Whether only the main instance shows if its `memory` is a shared one.
    pub(crate) doubtful_memory: bool,
    pub(crate) stores: Stores<T>,
    pub(crate) exit_code: ExitCode,
    /// Whether wasm is called through wasmtime's async entry points.
    #[cfg(feature = "async")]
    pub(crate) async_calls: bool,
    pub(crate) around: Option<Around>,
    pub(crate) on_trap: Option<OnTrap<T>>,
}

impl<T: Send + 'static> Program<T> {
    /// The guest's own module.
    pub(crate) fn module(&self) -> &ThreadModule {
        &self.linked.main.module
    }

    /// Makes the instances of a store and binds their waits. For prepared modules it runs no guest
    /// code.
    pub(crate) fn instantiate(&self, store: &mut ThreadStore<T>) -> Result<Instances, Error> {
        let make = || store.spend(|store| self.make_instances(store));
        self.stores.caps().apply(make)
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
                        if part.module.is_guest_export(export)
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
            // For a prepared module this is ready at once: there is no start function to run.
            return block_on(self.life.token(), made).unwrap_or_else(|| Err(GroupEnded.into()));
        }
        pre.instantiate(store).map_err(named_if_async)
    }
}

/// Whether Wasmtime refused to enter a store by a call that is not async, because the linker has
/// async host functions.
pub(crate) fn is_async_forgotten(error: &Error) -> bool {
    // It has no type of its own, only this text. The text of an error with a backtrace is not asked
    // for: it has the guest's names in it, whose demangling is bounded only in `wasm-symbols`.
    !error.is::<WasmBacktrace>()
        && error.to_string()
            == "store configuration requires that `*_async` functions are used instead"
}

/// Says what to do about that.
pub(crate) fn named_if_async(error: Error) -> Error {
    match is_async_forgotten(&error) {
        true => error.context(
            "the linker has async host functions: say so by `GroupBuilder::async_host_functions`",
        ),
        false => error,
    }
}
