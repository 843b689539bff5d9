//! Linking a group's modules: to its memories, to `wasi.thread-spawn`, to one another, and to its
//! parking lot.

use std::sync::{Arc, OnceLock, Weak};

use wasmtime::{Caller, Linker, SharedMemory, Store};

use crate::group::core::{Core, thread_spawn};
use crate::life::Life;
use crate::memory::define;
use crate::module::memories::Memories;
use crate::module::thread_module::ThreadModule;
use crate::thread::linked::{self, How, Linked, Part, Preload};
use crate::thread::store::{AppendedParts, Stores};
use crate::thread::wait_imports::Binder;
use crate::types::abi;
use crate::types::error::GroupError;
use crate::types::limits::Limits;

/// The modules of a group that is being made.
pub(crate) struct Modules {
    /// The guest's own module.
    pub(crate) module: ThreadModule,
    pub(crate) memories: Memories,
    pub(crate) preloads: Vec<Preload>,
    /// Whether any of them imports `wasi.thread-spawn`.
    pub(crate) spawns: bool,
    /// Whether every wait and notify goes to the group.
    pub(crate) waits_reach_group: bool,
}

impl Modules {
    /// The memories of all modules, the guest's own first.
    pub(crate) fn memories(&self) -> impl Iterator<Item = &Memories> {
        let preloads = self.preloads.iter().map(|preload| &preload.memories);
        std::iter::once(&self.memories).chain(preloads)
    }

    /// What the rewrite appended, which no limit of the guest's counts.
    pub(crate) fn appended_parts(&self) -> AppendedParts {
        let preloads = self.preloads.iter().map(|preload| &preload.module);
        AppendedParts::of(std::iter::once(&self.module).chain(preloads))
    }
}

/// What the modules are linked to.
pub(crate) struct Linking<'a, T: 'static> {
    pub(crate) modules: &'a Modules,
    pub(crate) life: &'a Arc<Life>,
    pub(crate) stores: &'a Stores<T>,
    pub(crate) limits: &'a Limits,
    /// Whether the threads are sampled.
    pub(crate) profiles: bool,
}

impl<T: Send + 'static> Linking<'_, T> {
    /// Links the modules. Returns all shared memories that are the same in every store, without
    /// duplicates. `memory` is the group's own; `core` is set before anything runs.
    pub(crate) fn link(
        &self,
        mut linker: Linker<T>,
        main: &mut Store<T>,
        memory: Option<&SharedMemory>,
        core: &Arc<OnceLock<Weak<Core<T>>>>,
    ) -> Result<(Linked<T>, Vec<SharedMemory>), GroupError> {
        let Modules {
            module,
            memories: theirs,
            preloads,
            spawns,
            ..
        } = self.modules;
        linker.allow_shadowing(true);
        if *spawns {
            let core = Arc::clone(core);
            let spawn =
                move |caller: Caller<'_, T>, arg: i32| thread_spawn(core.get(), caller, arg);
            linker
                .func_wrap(abi::SPAWN_MODULE, abi::SPAWN_NAME, spawn)
                .map_err(GroupError::Link)?;
        }
        let imported = self.define_memories(&mut linker, main, memory)?;
        let mut memories = Vec::new();
        for found in &imported {
            define::collect(&mut memories, found);
        }
        linked::check(&linker, main, module, preloads, *spawns)?;
        let how = if preloads.is_empty() {
            let pre = linker.instantiate_pre(module.module());
            How::Once(pre.map_err(GroupError::Link)?)
        } else {
            How::PerStore(linker)
        };
        let main = self.part(module, theirs, &imported[0], &memories)?;
        let mut preloaded = Vec::new();
        for (preload, imported) in preloads.iter().zip(&imported[1..]) {
            let part = self.part(&preload.module, &preload.memories, imported, &memories)?;
            preloaded.push((preload.name.clone(), part));
        }
        let linked = Linked {
            main,
            preloaded,
            how,
        };
        Ok((linked, memories))
    }

    /// Defines the memories that each module imports, the guest's own first: see
    /// [`define::define`].
    fn define_memories(
        &self,
        linker: &mut Linker<T>,
        main: &mut Store<T>,
        memory: Option<&SharedMemory>,
    ) -> Result<Vec<Vec<Option<SharedMemory>>>, GroupError> {
        let preloads = &self.modules.preloads;
        let provided = |from: &str, name: &str| linked::provided(preloads, from, name);
        let mut imported = Vec::new();
        // The group's own memory is the first import of the guest's own module.
        let mut own = memory;
        for theirs in self.modules.memories() {
            let own = own.take();
            imported.push(
                self.stores
                    .caps()
                    .apply(|| define::define(linker, main, theirs, own, self.limits, provided))?,
            );
        }
        Ok(imported)
    }

    /// A module and the binding of its waits.
    fn part(
        &self,
        module: &ThreadModule,
        theirs: &Memories,
        imported: &[Option<SharedMemory>],
        memories: &[SharedMemory],
    ) -> Result<Part<T>, GroupError> {
        let binder = Binder::new(
            module.module().engine(),
            self.life,
            self.stores.fuel().is_some(),
            self.profiles,
            module.prepared(),
            imported,
            memories,
        );
        let own_shared = theirs.own_shared.iter().map(|(name, _)| name.clone());
        Ok(Part {
            module: module.clone(),
            binder: binder.map_err(GroupError::Link)?,
            own_memories: match self.modules.waits_reach_group {
                true => Vec::new(),
                false => own_shared.collect(),
            },
        })
    }
}
