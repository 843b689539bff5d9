//! One guest thread, from its reservation to its end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};

use wasmtime::{
    AsContextMut, Error, Func, Instance, Store, Trap, TypedFunc, Val, WasmBacktrace, WasmParams,
    WasmResults,
};

use crate::group::core::Core;
use crate::host::panics::caught;
use crate::life::Slot;
use crate::memory::words::same_memory;
#[cfg(feature = "async")]
use crate::thread::block_on::block_on;
use crate::thread::current;
use crate::thread::linked::Instances;
use crate::types::abi;
use crate::types::error::{CallError, GroupEnded, GroupError, RunError};
use crate::types::fuel::Member;
use crate::types::outcome::Outcome;
use crate::types::thread_id::ThreadId;

/// What a thread calls.
pub(crate) enum Entry {
    /// The export given to `run`: its return ends the group.
    Main { export: String },
    /// The export given to `invoke`, after the module's initialisation; likewise.
    Invoke(Arc<Invocation>),
    /// Nothing beyond the start function: its return ends the group.
    Start,
    /// `wasi_thread_start(id, arg)`: its return ends the thread.
    Thread { arg: i32 },
    /// Nothing by itself: exports are called one by one.
    Reactor,
}

/// A call with values on both sides.
pub(crate) struct Invocation {
    pub(crate) export: String,
    pub(crate) params: Vec<Val>,
    /// Set when the call has returned.
    pub(crate) results: OnceLock<Vec<Val>>,
}

/// A guest thread that holds its place in the group and has its store.
///
/// It is made by the thread that starts it and run on a host thread of the group.
pub(crate) struct Guest<T: 'static> {
    core: Arc<Core<T>>,
    /// The thread's share of the group's fuel.
    member: Option<Member>,
    store: Store<T>,
    instances: Option<Instances>,
    entry: Entry,
    /// Dropped last: the id is its own until the store's data are gone.
    slot: Slot,
}

impl<T: Send + 'static> Guest<T> {
    /// A thread with a store of its own.
    pub(crate) fn new(core: Arc<Core<T>>, slot: Slot, entry: Entry) -> Result<Self, Error> {
        let store = core.stores.make(slot.id())?;
        Ok(Self::with_store(core, slot, store, entry))
    }

    /// A thread with a store made before.
    pub(crate) fn with_store(
        core: Arc<Core<T>>,
        slot: Slot,
        store: Store<T>,
        entry: Entry,
    ) -> Self {
        Self {
            member: core.stores.join_fuel(),
            core,
            slot,
            store,
            instances: None,
            entry,
        }
    }

    /// A thread whose store and instance were made ahead.
    pub(crate) fn with_instances(
        core: Arc<Core<T>>,
        slot: Slot,
        store: Store<T>,
        instances: Instances,
        entry: Entry,
    ) -> Self {
        let mut guest = Self::with_store(core, slot, store, entry);
        guest.instances = Some(instances);
        guest
    }

    /// The thread's id.
    pub(crate) fn id(&self) -> ThreadId {
        self.slot.id()
    }

    /// Whether no host thread works for it: see [`ThreadRecord::is_idle`](crate::watch::record::ThreadRecord::is_idle).
    pub(crate) fn set_idle(&self, idle: bool) {
        self.slot.record().set_idle(idle);
    }

    /// Makes the instances. Prepared modules run no guest code here.
    pub(crate) fn instantiate(&mut self) -> Result<(), Error> {
        self.instances = Some(self.core.instantiate(&mut self.store)?);
        Ok(())
    }

    /// Runs the thread to its end on the calling host thread. Never panics.
    pub(crate) fn run(mut self) {
        let core = Arc::clone(&self.core);
        if !core.life.start() {
            // The group has ended: nobody is told of a thread that runs nothing.
            core.life.rest();
            caught(|| drop(self));
            return;
        }
        self.slot.start();
        let id = self.slot.id();
        let Some(around) = &core.around else {
            return self.live();
        };
        let mut guest = Some(self);
        let result = catch_unwind(AssertUnwindSafe(|| {
            around(id, &mut || {
                if let Some(guest) = guest.take() {
                    guest.live();
                }
            });
        }));
        if let Err(payload) = result {
            core.life.end(Outcome::of_panic(id, payload));
        }
        if guest.is_some() {
            core.life.end(Outcome::Cancelled);
        }
        // What was not run is dropped here, by code of the embedder that may panic.
        caught(|| drop(guest));
    }

    /// The thread's life in the group. Never panics.
    fn live(mut self) {
        let id = self.slot.id();
        let life = Arc::clone(&self.core.life);
        let result = catch_unwind(AssertUnwindSafe(|| {
            if let Some(watch) = life.watch() {
                watch.observer().thread_began(id);
            }
            self.inside(Self::enter)
        }));
        // What ends the thread first, before anybody is told: the first cause wins.
        let returned = matches!(result, Ok(Ok(())));
        let or_panicked = |result: Result<(), Box<dyn Any + Send>>| {
            if let Err(payload) = result {
                life.end(Outcome::of_panic(id, payload));
            }
        };
        or_panicked(result.and_then(|result| {
            // It asks the embedder what an error means.
            catch_unwind(AssertUnwindSafe(|| self.conclude(result)))
        }));
        if let Some(watch) = life.watch() {
            or_panicked(catch_unwind(AssertUnwindSafe(|| {
                watch.observer().thread_ended(id);
            })));
        }
        if life.token().is_ended() {
            life.rest();
        }
        if returned && matches!(self.entry, Entry::Thread { .. }) {
            // Before the store goes: a guest may have seen the join already.
            self.slot.leave();
            self.member = None;
        }
        // The embedder's data is dropped here, by code that may panic as well.
        or_panicked(catch_unwind(AssertUnwindSafe(|| {
            self.core.stores.drain(&mut self.store);
            drop(self);
        })));
    }

    /// What the end of the thread is to the group.
    fn conclude(&mut self, result: Result<(), Stop>) {
        let life = &self.core.life;
        match (result, &self.entry) {
            (Ok(()), Entry::Main { .. } | Entry::Invoke(_) | Entry::Start) => {
                life.end(Outcome::Returned);
            }
            // Only the thread's own; and reactors are not run.
            (Ok(()), Entry::Thread { .. } | Entry::Reactor) | (Err(Stop::Ended), _) => {}
            (Err(Stop::NotMade(error)), _) => life.fail(error),
            (Err(Stop::Guest(error)), _) => self.failed(error),
        }
    }

    /// Instantiates where that has not happened, and calls the entry.
    fn enter(&mut self) -> Result<(), Stop> {
        let instance = self.begin()?;
        match &self.entry {
            Entry::Main { export } => {
                let export = export.clone();
                self.call(instance, &export, ())
            }
            Entry::Invoke(invocation) => {
                let invocation = Arc::clone(invocation);
                if invocation.export != abi::INITIALIZE {
                    self.initialize(instance)?;
                }
                let results = self.call_values(instance, &invocation.export, &invocation.params)?;
                // Set here and nowhere else.
                let _ = invocation.results.set(results);
                Ok(())
            }
            Entry::Thread { arg } => {
                let params = (self.slot.id().as_i32(), *arg);
                self.call(instance, abi::THREAD_START, params)
            }
            Entry::Start | Entry::Reactor => Ok(()),
        }
    }

    /// Instantiates where that has not happened, runs the start functions.
    fn begin(&mut self) -> Result<Instance, Stop> {
        // A thread that was being started when the group ended runs no guest code.
        if self.core.life.is_ended() {
            return Err(Stop::Ended);
        }
        if self.instances.is_none() {
            self.instantiate().map_err(|error| {
                // A start function that trapped, exited or failed in a host call did run.
                let ran = error.is::<Trap>()
                    || error.is::<WasmBacktrace>()
                    || (self.core.exit_code)(&error).is_some();
                match self.entry {
                    Entry::Thread { .. } => Stop::Guest(error),
                    _ if ran => Stop::Guest(error),
                    _ => Stop::NotMade(error),
                }
            })?;
        }
        let Some(instances) = &self.instances else {
            return Err(Stop::Ended);
        };
        let (main, beneath) = (instances.main, instances.preloaded.clone());
        let core = Arc::clone(&self.core);
        let is_thread = matches!(self.entry, Entry::Thread { .. });
        if core.doubtful_memory && !is_thread {
            self.check_memory(main).map_err(Stop::NotMade)?;
        }
        for (instance, (_, part)) in beneath.iter().copied().zip(&core.linked.preloaded) {
            if let Some(start) = part.module.start_export() {
                self.call::<(), ()>(instance, start, ())?;
            }
            // Once in the group, as the guest's own: what it initialises is in the memory.
            if !is_thread && part.module.module().get_export(abi::INITIALIZE).is_some() {
                self.call::<(), ()>(instance, abi::INITIALIZE, ())?;
            }
        }
        if let Some(start) = core.module.start_export() {
            self.call::<(), ()>(main, start, ())?;
        }
        Ok(main)
    }

    /// Whether the memory that WASI works on is one that the threads share.
    fn check_memory(&mut self, main: Instance) -> Result<(), Error> {
        let exported = main.get_shared_memory(&mut self.store, abi::MEMORY);
        let memories = &self.core.memories;
        match exported {
            Some(memory) if memories.iter().any(|one| same_memory(one, &memory)) => Ok(()),
            _ => Err(GroupError::MemoryExportedIsOwn.into()),
        }
    }

    /// Begins the life of a reactor's main instance.
    pub(crate) fn begin_reactor(&mut self) -> Result<(), CallError> {
        let result = self.told(|guest| {
            let instance = guest.begin()?;
            guest.initialize(instance)
        });
        self.settle(result)
    }

    /// Calls `_initialize`, where the module exports it.
    fn initialize(&mut self, instance: Instance) -> Result<(), Stop> {
        let module = self.core.module.module();
        if module.get_export(abi::INITIALIZE).is_some() {
            self.call::<(), ()>(instance, abi::INITIALIZE, ())?;
        }
        Ok(())
    }

    /// [`call_export`](Self::call_export) with values of types that fit the export's.
    pub(crate) fn invoke_export(
        &mut self,
        name: &str,
        params: &[Val],
    ) -> Result<Vec<Val>, CallError> {
        let Some(instance) = self.instances.as_ref().map(|made| made.main) else {
            return self.settle(Err(Stop::Ended));
        };
        let result = self.told(|guest| {
            if guest.core.life.is_ended() {
                return Err(Stop::Ended);
            }
            guest.call_values(instance, name, params)
        });
        self.settle(result)
    }

    /// [`inside`](Self::inside), with a word to who watches before and after.
    fn told<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let life = Arc::clone(&self.core.life);
        let Some(watch) = life.watch() else {
            return self.inside(f);
        };
        let id = self.slot.id();
        watch.observer().thread_began(id);
        let result = catch_unwind(AssertUnwindSafe(|| self.inside(f)));
        watch.observer().thread_ended(id);
        result.unwrap_or_else(|payload| resume_unwind(payload))
    }

    /// Calls an export of a reactor's main instance.
    pub(crate) fn call_export<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<R, CallError> {
        let Some(instance) = self.instances.as_ref().map(|made| made.main) else {
            return self.settle(Err(Stop::Ended));
        };
        instance
            .get_typed_func::<P, R>(&mut self.store, name)
            .map_err(CallError::Export)?;
        let result = self.told(|guest| {
            if guest.core.life.is_ended() {
                return Err(Stop::Ended);
            }
            guest.call::<P, R>(instance, name, params)
        });
        self.settle(result)
    }

    /// Runs `f` as this guest thread on the calling host thread.
    fn inside<R>(&mut self, f: impl FnOnce(&mut Self) -> R) -> R {
        let record = Arc::clone(self.slot.record());
        let caps = self.core.stores.caps();
        let id = self.slot.id();
        let core = Arc::clone(&self.core);
        let _seen = core.life.native().map(|native| native.enter(id));
        current::enter(&record, || caps.apply(|| f(self)))
    }

    /// What a reactor's caller is told; whatever stopped the call ends the group.
    fn settle<R>(&mut self, result: Result<R, Stop>) -> Result<R, CallError> {
        let life = Arc::clone(&self.core.life);
        match result {
            Ok(value) => return Ok(value),
            Err(Stop::Ended) => {}
            Err(Stop::NotMade(error)) => {
                life.end(Outcome::Cancelled);
                return Err(RunError::Instantiate(error).into());
            }
            Err(Stop::Guest(error)) => self.failed(error),
        }
        Err(CallError::Ended(
            life.outcome().unwrap_or(Outcome::Cancelled),
        ))
    }

    /// Guest code, or a host function it called, failed: ends the group, and if it was this that ended it, shows
    /// the store to who asked for it.
    fn failed(&mut self, error: Error) {
        let id = self.slot.id();
        let core = Arc::clone(&self.core);
        let outcome = Outcome::of_error(id, error, core.exit_code);
        core.life.end_then(outcome.clone(), || {
            if let Some(hook) = &core.on_trap
                && let Outcome::Trapped { error, .. } = &outcome
            {
                caught(|| hook(id, error, self.store.as_context_mut()));
            }
        });
    }

    /// Host code panicked in a reactor's call: ends the group, and says how it ended.
    pub(crate) fn panicked(&self, payload: Box<dyn Any + Send>) -> Outcome {
        let life = &self.core.life;
        let outcome = Outcome::of_panic(self.slot.id(), payload);
        life.end(outcome.clone());
        life.outcome().unwrap_or(outcome)
    }

    /// Calls an export.
    fn call<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        instance: Instance,
        name: &str,
        params: P,
    ) -> Result<R, Stop> {
        let function = instance
            .get_typed_func::<P, R>(&mut self.store, name)
            .map_err(Stop::NotMade)?;
        let result = self.call_function(&function, params);
        result.map_err(|error| self.stop(error))
    }

    /// Calls an export with values of types that fit the export's.
    fn call_values(
        &mut self,
        instance: Instance,
        name: &str,
        params: &[Val],
    ) -> Result<Vec<Val>, Stop> {
        let function = instance
            .get_func(&mut self.store, name)
            .ok_or_else(|| Stop::NotMade(Error::msg("no such function")))?;
        // What is in here before the call does not matter.
        let mut results = vec![Val::I32(0); function.ty(&self.store).results().len()];
        let result = self.call_dynamic(&function, params, &mut results);
        result.map_err(|error| self.stop(error))?;
        Ok(results)
    }

    fn call_dynamic(
        &mut self,
        function: &Func,
        params: &[Val],
        results: &mut [Val],
    ) -> Result<(), Error> {
        #[cfg(feature = "async")]
        if self.core.async_calls {
            let call = function.call_async(&mut self.store, params, results);
            return block_on(self.core.life.token(), call)
                .unwrap_or_else(|| Err(GroupEnded.into()));
        }
        function.call(&mut self.store, params, results)
    }

    /// Why a call failed with `error`.
    fn stop(&self, error: Error) -> Stop {
        match error.downcast_ref::<GroupEnded>() {
            Some(GroupEnded) if self.core.life.is_ended() => Stop::Ended,
            _ => Stop::Guest(error),
        }
    }

    fn call_function<P: WasmParams + Sync, R: WasmResults + Send + Sync + 'static>(
        &mut self,
        function: &TypedFunc<P, R>,
        params: P,
    ) -> Result<R, Error> {
        #[cfg(feature = "async")]
        if self.core.async_calls {
            let call = function.call_async(&mut self.store, params);
            return block_on(self.core.life.token(), call)
                .unwrap_or_else(|| Err(GroupEnded.into()));
        }
        function.call(&mut self.store, params)
    }
}

/// Why a thread did not return from its entry.
enum Stop {
    /// The group had ended.
    Ended,
    /// The instance or its entry could not be made; no guest code ran.
    NotMade(Error),
    /// Guest code, or a host function it called, failed.
    Guest(Error),
}
