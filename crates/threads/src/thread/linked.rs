//! The modules of a group, as each thread's store gets them: the guest's own, and beneath it the
//! preloaded ones.

use wasmtime::{ImportType, Instance, InstancePre, Linker, Store};

use crate::memory::define::Holding;
use crate::module::extern_type;
use crate::module::memories::Memories;
use crate::module::thread_module::ThreadModule;
use crate::thread::wait_imports::Binder;
use crate::types::abi;
use crate::types::error::GroupError;

/// A module and the binding of its waits.
pub(crate) struct Part<T: 'static> {
    pub(crate) module: ThreadModule,
    pub(crate) binder: Binder<T>,
    /// The exports that may be shared memories of the instance's own, where its waits are
    /// wasmtime's.
    pub(crate) own_memories: Vec<String>,
}

/// A module that is to be preloaded, under the name its exports are imported by.
pub(crate) struct Preload {
    pub(crate) name: String,
    pub(crate) module: ThreadModule,
    pub(crate) memories: Memories,
}

/// What a store is filled with.
pub(crate) struct Linked<T: 'static> {
    pub(crate) main: Part<T>,
    /// In order, each under the name its exports are imported by.
    pub(crate) preloaded: Vec<(String, Part<T>)>,
    pub(crate) how: How<T>,
}

/// How the imports of the modules are found.
pub(crate) enum How<T: 'static> {
    /// All imports are the same for all stores.
    Once(InstancePre<T>),
    /// Some are exports of preloaded modules, of which each store has its own.
    PerStore(Linker<T>),
}

/// The instances in one store.
pub(crate) struct Instances {
    pub(crate) main: Instance,
    /// One for each preloaded module, in order.
    pub(crate) preloaded: Box<[Instance]>,
    /// Their own shared memories, where their waits are wasmtime's.
    pub(crate) _own_memories: Option<Holding>,
}

impl<T: 'static> Linked<T> {
    /// Whether other threads can see the instantiation of a store.
    pub(crate) fn instantiation_is_visible(&self) -> bool {
        self.modules().any(ThreadModule::instantiation_is_visible)
    }

    /// Whether every wait and notify goes to the group.
    pub(crate) fn waits_reach_group(&self) -> bool {
        self.modules().all(ThreadModule::waits_reach_group)
    }

    /// All modules, the guest's own first.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &ThreadModule> {
        let preloaded = self.preloaded.iter().map(|(_, part)| &part.module);
        std::iter::once(&self.main.module).chain(preloaded)
    }
}

/// Refuses a module that cannot be preloaded, and an import that nothing provides.
///
/// `spawns`: whether any module starts threads. By now the linker has everything except the exports
/// of preloaded modules.
pub(crate) fn check<T: 'static>(
    linker: &Linker<T>,
    store: &mut Store<T>,
    main: &ThreadModule,
    preloads: &[Preload],
    spawns: bool,
) -> Result<(), GroupError> {
    check_all(main, preloads, spawns, |import| {
        linker
            .get(&mut *store, import.module(), import.name())
            .is_ok()
    })
}

/// Refuses what cannot be preloaded, and modules that import what neither those before them export
/// nor `has` knows of.
pub(crate) fn check_all(
    main: &ThreadModule,
    preloads: &[Preload],
    spawns: bool,
    mut has: impl FnMut(&ImportType<'_>) -> bool,
) -> Result<(), GroupError> {
    for (at, preload) in preloads.iter().enumerate() {
        check_preload(preload, spawns)?;
        check_imports(&preload.module, &preloads[..at], &mut has)?;
    }
    check_imports(main, preloads, &mut has)
}

/// Refuses what cannot be preloaded.
fn check_preload(preload: &Preload, spawns: bool) -> Result<(), GroupError> {
    let Preload {
        module, memories, ..
    } = preload;
    let name = || preload.name.clone();
    if !module.is_prepared() {
        return Err(GroupError::PreloadUnprepared { name: name() });
    }
    if module.module().get_export(abi::START).is_some() {
        return Err(GroupError::PreloadCommand { name: name() });
    }
    match module.module().get_export(abi::INITIALIZE) {
        Some(ty) if !ty.func().is_some_and(|ty| abi::START_TYPE.is(ty)) => {
            return Err(GroupError::Link(wasmtime::format_err!(
                "the preloaded module `{}` exports `_initialize` as {}, not as a function without parameters and \
                 results",
                name(),
                extern_type::describe(&ty)
            )));
        }
        _ => {}
    }
    // Every thread has an instance of its own, which is what a module's globals and tables
    // are made for, but hardly its memory.
    let own = memories.defines || memories.imports.iter().any(|(import, _)| !import.shared);
    match spawns && own {
        true => Err(GroupError::PreloadMemory { name: name() }),
        false => Ok(()),
    }
}

fn check_imports(
    module: &ThreadModule,
    before: &[Preload],
    has: &mut impl FnMut(&ImportType<'_>) -> bool,
) -> Result<(), GroupError> {
    for import in module.module().imports() {
        let (from, name) = (import.module(), import.name());
        if !provided(before, from, name) && !has(&import) {
            return Err(GroupError::Link(wasmtime::format_err!(
                "unknown import: `{from}::{name}` has not been defined"
            )));
        }
    }
    Ok(())
}

/// Whether a preloaded module exports what is imported by this name.
pub(crate) fn provided(preloads: &[Preload], from: &str, name: &str) -> bool {
    let exports = |module: &ThreadModule| {
        module.module().get_export(name).is_some() && module.is_guest_export(name)
    };
    preloads
        .iter()
        .any(|preload| preload.name == from && exports(&preload.module))
}
