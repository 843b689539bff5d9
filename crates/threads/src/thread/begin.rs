//! How a thread enters the guest: its instances, their start functions, its entry.

use std::sync::Arc;

use wasmtime::{Error, Instance, Trap, WasmBacktrace};

use crate::memory::words::same_memory;
use crate::thread::entry_point::{EntryPoint, Stopped};
use crate::thread::guest_thread::Guest;
use crate::types::abi;
use crate::types::error::GroupError;

impl<T: Send + 'static> Guest<T> {
    /// Instantiates, unless that is done, and calls the entry.
    pub(super) fn enter(&mut self) -> Result<(), Stopped> {
        let instance = self.begin()?;
        match &self.entry {
            EntryPoint::Main { export } => {
                let export = export.clone();
                self.call(instance, &export, ())
            }
            EntryPoint::Invoke(invocation) => {
                let invocation = Arc::clone(invocation);
                if invocation.export != abi::INITIALIZE {
                    self.initialize(instance)?;
                }
                let results = self.call_values(instance, &invocation.export, &invocation.params)?;
                // Set here and nowhere else.
                let _ = invocation.results.set(results);
                Ok(())
            }
            EntryPoint::Thread { arg } => {
                let params = (self.place.id().as_i32(), *arg);
                self.call(instance, abi::THREAD_START, params)
            }
            EntryPoint::Start | EntryPoint::Reactor => Ok(()),
        }
    }

    /// Instantiates, unless that is done, and runs the start functions.
    pub(super) fn begin(&mut self) -> Result<Instance, Stopped> {
        // A thread that was being started when the group ended runs no guest code.
        if self.program.life.is_ended() {
            return Err(Stopped::Ended);
        }
        if self.instances.is_none() {
            self.instantiate().map_err(|error| {
                // If a start function trapped, exited or failed in a host call, guest code did run.
                let ran = error.is::<Trap>()
                    || error.is::<WasmBacktrace>()
                    || (self.program.exit_code)(&error).is_some();
                match self.entry {
                    EntryPoint::Thread { .. } => Stopped::Guest(error),
                    _ if ran => Stopped::Guest(error),
                    _ => Stopped::NotMade(error),
                }
            })?;
        }
        let Some(instances) = &self.instances else {
            return Err(Stopped::Ended);
        };
        let (main, beneath) = (instances.main, instances.preloaded.clone());
        let program = Arc::clone(&self.program);
        let is_thread = matches!(self.entry, EntryPoint::Thread { .. });
        if program.doubtful_memory && !is_thread {
            self.check_memory(main).map_err(Stopped::NotMade)?;
        }
        for (instance, (_, part)) in beneath.iter().copied().zip(&program.linked.preloaded) {
            if let Some(start) = part.module.start_export() {
                self.call::<(), ()>(instance, start, ())?;
            }
            // Once in the group, like the guest's own: it initialises the memory that all share.
            if !is_thread && part.module.module().get_export(abi::INITIALIZE).is_some() {
                self.call::<(), ()>(instance, abi::INITIALIZE, ())?;
            }
        }
        if let Some(start) = program.module().start_export() {
            self.call::<(), ()>(main, start, ())?;
        }
        Ok(main)
    }

    /// Whether the memory that WASI works on is one that the threads share.
    fn check_memory(&mut self, main: Instance) -> Result<(), Error> {
        let exported = main.get_shared_memory(&mut self.store, abi::MEMORY);
        let memories = &self.program.memories;
        match exported {
            Some(memory) if memories.iter().any(|one| same_memory(one, &memory)) => Ok(()),
            _ => Err(GroupError::MemoryExportedIsOwn.into()),
        }
    }

    /// Calls `_initialize`, where the module exports it.
    pub(super) fn initialize(&mut self, instance: Instance) -> Result<(), Stopped> {
        let module = self.program.module().module();
        if module.get_export(abi::INITIALIZE).is_some() {
            self.call::<(), ()>(instance, abi::INITIALIZE, ())?;
        }
        Ok(())
    }
}
