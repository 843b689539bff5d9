//! Making a group: what engine, modules and settings must agree on, the group's memory, its life,
//! and what its threads have in common.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use wasmtime::{Engine, SharedMemory};

use crate::group::builder::{GroupBuilder, GroupSettings};
use crate::group::core::Core;
use crate::group::link::{Linking, Modules};
use crate::group::scheduled;
use crate::group::termination::Termination;
use crate::group::thread_group::ThreadGroup;
use crate::host::pool::Hosts;
use crate::host::stacks;
use crate::life::{Life, Native};
use crate::memory::define;
use crate::memory::host::{HostMemory, HostWaits, ToldNotify, Waits};
use crate::module::memories::Memories;
use crate::module::shape::ModuleShape;
use crate::module::thread_module::{ThreadEntry, ThreadModule};
use crate::sys::running::{self, Code};
use crate::sys::signal_stack;
use crate::thread::linked::{Linked, Preload};
use crate::thread::prewarm::Stock;
use crate::thread::program::Program;
use crate::thread::store::{MakeState, Stores};
use crate::thread::{self, current};
use crate::types::abi;
use crate::types::backtrace::Appended;
use crate::types::budget::GroupBudget;
use crate::types::error::GroupError;
use crate::types::thread_id::ThreadId;
use crate::waits::ParkingLot;
use crate::watch::observer::Watch;

/// How many threads the parking lot is sized for if there is no limit.
const DEFAULT_LOT: u32 = 64;

impl<T: Send + 'static> GroupBuilder<T> {
    /// Makes the group: checks that engine, module and settings agree, creates the shared memory,
    /// links. Runs no guest code and starts no host thread.
    ///
    /// The memory and `wasi.thread-spawn` are defined in the group's own linker, and replace what
    /// it has under their names.
    ///
    /// # Errors
    ///
    /// See [`GroupError`].
    pub fn build(self) -> Result<ThreadGroup<T>, GroupError> {
        self.settings.build(self.data.0)
    }
}

impl<T: Send + 'static> GroupSettings<T> {
    fn build(mut self, make_state: MakeState<T>) -> Result<ThreadGroup<T>, GroupError> {
        self.check_one_engine()?;
        signal_stack::check().map_err(GroupError::NoSignalStack)?;
        // A store with an interval of fuel is called through wasmtime's async entry points only.
        #[cfg(feature = "async")]
        if self.limits.fuel.is_some() {
            self.async_calls = true;
        }
        let host_stack = self.check_engine()?;
        self.limits.budget = self.budget.take().map(GroupBudget::new);
        let modules = self.look_at_modules()?;
        let turns = self.turns(&modules)?;
        self.check_joined(&modules)?;
        let memory = self.shared_memory(&modules.memories)?;
        let life = self.life(modules.waits_reach_group);
        if let Some(turns) = &turns {
            scheduled::follow(&life, turns);
        }
        if let Some(observer) = self.accesses.take() {
            life.set_accesses(observer);
        }
        let host_memory = memory
            .as_ref()
            .map(|memory| host_memory(memory, &life, modules.waits_reach_group));
        let stores = Stores::new(
            &self.engine,
            &life,
            host_memory.clone(),
            (make_state, self.set_up_store.take()),
            &self.limits,
            modules.appended_parts(),
            host_stack + self.fiber_stack(),
        );
        let mut main = stores.make(ThreadId::MAIN).map_err(GroupError::Store)?;
        let core_cell: Arc<OnceLock<Weak<Core<T>>>> = Arc::default();
        let linking = Linking {
            modules: &modules,
            life: &life,
            profiles: self.profile.is_some(),
            stores: &stores,
            limits: &self.limits,
        };
        let (linked, memories) =
            linking.link(self.linker, &mut main, memory.as_ref(), &core_cell)?;
        life.set_memories(&memories);
        life.set_appended(Appended::new(linked.modules().filter_map(|module| {
            Some((module.module().clone(), module.first_appended_function()?))
        })));
        let freezes = self.termination == Termination::ProcessExit;
        if self.see_threads || freezes || self.profile.is_some() {
            running::prepare().map_err(GroupError::CannotSeeThreads)?;
            let code = Code::new(linked.modules().map(|module| module.module().clone()));
            let mut native = Native::new(code, self.host_word, freezes);
            if let Some(interval) = self.profile {
                native.profile(interval);
            }
            life.set_native(native);
        }
        let may_be_prewarmed = turns.is_none() && may_be_prewarmed(&modules, &linked);
        let stock = Stock::new(match may_be_prewarmed {
            true => self.pool.prewarmed,
            false => 0,
        });
        let program = Program {
            life: Arc::clone(&life),
            doubtful_memory: modules.spawns && modules.memories.defines,
            linked,
            stores,
            memories,
            own_memories: Arc::default(),
            exit_code: self.exit_code,
            around: self.around,
            on_trap: self.on_trap,
            #[cfg(feature = "async")]
            async_calls: self.async_calls,
        };
        let core = Arc::new(Core {
            life,
            program: Arc::new(program),
            hosts: Hosts::new(host_stack, self.pool),
            stock,
            limits: self.limits,
            // The longest period means no limit.
            grace: Some(self.grace).filter(|grace| *grace != Duration::MAX),
            timeout_report: self.timeout_report,
        });
        // Set here and nowhere else.
        let _ = core_cell.set(Arc::downgrade(&core));
        let weak = Arc::downgrade(&core);
        core.hosts.on_retire(move || {
            if let Some(core) = weak.upgrade() {
                core.stock.shrink();
            }
        });
        Ok(ThreadGroup::new(core, main, host_memory))
    }

    /// Checks that engine, module and linker belong together.
    pub(super) fn check_one_engine(&self) -> Result<(), GroupError> {
        let theirs = [self.module.module().engine(), self.linker.engine()];
        match theirs
            .iter()
            .all(|engine| Engine::same(engine, &self.engine))
        {
            true => Ok(()),
            false => Err(GroupError::OtherEngine),
        }
    }

    /// Checks what engine and group must agree on. Returns the host stack of each thread, in bytes.
    fn check_engine(&self) -> Result<usize, GroupError> {
        let (engine, limits) = (&self.engine, &self.limits);
        let wasm_stack = engine.get_max_wasm_stack();
        if let Some(limit) = limits.wasm_stack
            && wasm_stack > limit
        {
            return Err(GroupError::WasmStackTooLarge {
                engine: wasm_stack,
                limit,
            });
        }
        let host_stack = limits
            .host_stack
            .unwrap_or(stacks::default_size(wasm_stack));
        if host_stack < stacks::least_size(wasm_stack) {
            return Err(GroupError::HostStackTooSmall {
                host_stack,
                wasm_stack,
            });
        }
        #[cfg(feature = "async")]
        if self.async_calls {
            // Then wasm and the host functions it calls run on Wasmtime's own stacks.
            let async_stack = engine.get_async_stack_size();
            if async_stack < stacks::least_size(wasm_stack) {
                return Err(GroupError::AsyncStackTooSmall {
                    async_stack,
                    wasm_stack,
                });
            }
        }
        if self.termination == Termination::Epochs && !engine.get_epoch_interruption() {
            return Err(GroupError::EpochsDisabled);
        }
        if limits.fuel.is_some() && !engine.get_consume_fuel() {
            return Err(GroupError::FuelDisabled);
        }
        Ok(host_stack)
    }

    /// The size of a thread's second stack, that of its fiber, in bytes; 0 if it has none.
    fn fiber_stack(&self) -> usize {
        #[cfg(feature = "async")]
        if self.async_calls {
            return self.engine.get_async_stack_size();
        }
        0
    }

    /// Checks the modules alone: whether threads can share their memory, and whether it is within
    /// the limits.
    pub(super) fn look_at_modules(&mut self) -> Result<Modules, GroupError> {
        let (shape, memories) = look_at(&self.module)?;
        let mut spawns = shape.spawns();
        let mut preloads = Vec::new();
        for (name, module) in std::mem::take(&mut self.preloads) {
            if !Engine::same(module.module().engine(), &self.engine) {
                return Err(GroupError::OtherEngine);
            }
            let (shape, memories) = look_at(&module)?;
            spawns |= shape.spawns();
            preloads.push(Preload {
                name,
                module,
                memories,
            });
        }
        if spawns && let Some(refusal) = shape.memory_refusals().into_iter().next() {
            return Err(refusal);
        }
        let modules = Modules {
            waits_reach_group: self.module.waits_reach_group()
                && (preloads.iter()).all(|preload| preload.module.waits_reach_group()),
            module: self.module.clone(),
            memories,
            preloads,
            spawns,
        };
        for memories in modules.memories() {
            define::check_own(memories, &self.limits)?;
        }
        Ok(modules)
    }

    /// Checks that something ends WASI calls which block.
    fn check_joined(&self, modules: &Modules) -> Result<(), GroupError> {
        if self.without_on_end || !self.on_end.is_empty() {
            return Ok(());
        }
        let preloads = modules.preloads.iter().map(|preload| &preload.module);
        let blocks = std::iter::once(&modules.module)
            .chain(preloads)
            .flat_map(|module| module.module().imports())
            .find(|import| abi::may_block(import.module(), import.name()));
        match blocks {
            None => Ok(()),
            Some(import) => Err(GroupError::NotJoined {
                module: import.module().to_owned(),
                name: import.name().to_owned(),
            }),
        }
    }

    /// The memory the group's threads share: the embedder's, or a new one.
    fn shared_memory(&mut self, memories: &Memories) -> Result<Option<SharedMemory>, GroupError> {
        match (memories.shared(), self.memory.take()) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(GroupError::MemoryNotWanted),
            (Some(_), Some(given)) => Ok(Some(given)),
            (Some(ty), None) => define::create(&self.engine, ty, &self.limits).map(Some),
        }
    }

    /// The group's life and its parking lot. The lot finds deadlocks only if it sees all waits.
    fn life(&mut self, waits_reach_group: bool) -> Arc<Life> {
        let epochs = self.termination == Termination::Epochs;
        let lot = ParkingLot::new(
            self.limits.threads.unwrap_or(DEFAULT_LOT) as usize,
            self.detect_deadlock && waits_reach_group,
        );
        let watch = self.observer.take();
        let watch = watch.map(|observer| Arc::new(Watch::new(observer)));
        let on_end = std::mem::take(&mut self.on_end);
        let life = Life::new(
            &self.engine,
            epochs,
            Arc::clone(&lot),
            on_end,
            watch,
            self.call_names,
        );
        if self.detect_deadlock {
            let life = Arc::downgrade(&life);
            lot.on_quiet(move || {
                if let Some(life) = life.upgrade() {
                    life.check_stuck();
                }
            });
        }
        life
    }
}

/// The host's side of the group's `memory`.
fn host_memory(memory: &SharedMemory, life: &Life, waits_reach_group: bool) -> HostMemory {
    let lot = life.lot();
    let waits = match waits_reach_group {
        true => Waits::Groups(Arc::clone(lot)),
        false => Waits::Wasmtimes(HostWaits::new(memory.clone(), life.token().clone())),
    };
    let told = told_notify(life);
    let turns = life.turns().cloned();
    HostMemory::new(memory.clone(), waits, told, turns)
}

/// How host code notifies, if an observer or a schedule has to know of it.
fn told_notify(life: &Life) -> Option<Arc<ToldNotify>> {
    let (watch, turns) = (life.watch().cloned(), life.turns().cloned());
    if watch.is_none() && turns.is_none() {
        return None;
    }
    let lot = Arc::clone(life.lot());
    Some(Arc::new(move |word, address, count| {
        let turns = turns.as_deref();
        let Some(watch) = &watch else {
            return thread::scheduled::notify(turns, &lot, word, count, 0, &mut |_| ());
        };
        // The first of the group's memories.
        let at = (Some(0), address);
        watch.notify(current::id_in(&lot), at, count, |tag, each| {
            thread::scheduled::notify(turns, &lot, word, count, tag, each)
        })
    }))
}

/// What a module imports and exports. An import of `thread-spawn` with another type is refused.
fn look_at(module: &ThreadModule) -> Result<(ModuleShape, Memories), GroupError> {
    let shape = ModuleShape::of(module.module());
    match shape.spawn_refusal() {
        Some(refusal) => Err(refusal),
        None => Ok((shape, Memories::of(module))),
    }
}

/// Whether instances may be made before their threads are spawned.
fn may_be_prewarmed<T>(modules: &Modules, linked: &Linked<T>) -> bool {
    modules.spawns
        && modules.module.is_prepared()
        && !linked.instantiation_is_visible()
        && modules.module.thread_entry() == ThreadEntry::Present
}
