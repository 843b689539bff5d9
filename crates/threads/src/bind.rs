//! The host's side of the waits that the rewrite took out of a module.
//!
//! A prepared module calls its waits and notifies through an exported table (see
//! [`rewrite`](crate::rewrite)). Each instance's table is filled here, after its instantiation and before any
//! of its code runs, with functions that reach the group's [`ParkingLot`].

use std::sync::Arc;

use wasmtime::{
    Caller, Engine, Error, Func, Instance, Linker, Ref, SharedMemory, Store, Trap, WasmBacktrace,
};

use crate::current;
use crate::error::GroupEnded;
use crate::memory::{word32, word64};
use crate::prepare::Prepared;
use crate::record::ThreadRecord;
use crate::rewrite::{WaitOp, WaitSlot};
use crate::waits::{ParkingLot, WaitOutcome};

/// Fills the wait tables of one group's instances.
pub(crate) struct Binder<T: 'static> {
    lot: Arc<ParkingLot>,
    table: Option<String>,
    slots: Vec<(WaitSlot, Source)>,
    /// The functions of [`Source::Shared`] slots, made once for all instances, named by slot.
    functions: Linker<T>,
}

/// Where a slot's function comes from.
enum Source {
    /// The memory is the same in every instance: a function made once, by this name.
    Shared(String),
    /// The memory belongs to the instance: so does the function.
    Instance,
}

impl<T: 'static> Binder<T> {
    /// `imported` are the module's imported memories by index, `None` for one that is not shared.
    pub(crate) fn new(
        engine: &Engine,
        lot: &Arc<ParkingLot>,
        prepared: Option<&Prepared>,
        imported: &[Option<SharedMemory>],
    ) -> Result<Self, Error> {
        let mut binder = Self {
            lot: Arc::clone(lot),
            table: None,
            slots: Vec::new(),
            functions: Linker::new(engine),
        };
        let Some(prepared) = prepared else {
            return Ok(binder);
        };
        binder.table.clone_from(&prepared.wait_table);
        for (index, slot) in prepared.wait_slots.iter().enumerate() {
            let source = match imported.get(slot.memory as usize) {
                Some(Some(memory)) => {
                    let name = index.to_string();
                    binder.define(&name, slot.op, memory.clone())?;
                    Source::Shared(name)
                }
                _ => Source::Instance,
            };
            binder.slots.push((slot.clone(), source));
        }
        Ok(binder)
    }

    fn define(&mut self, name: &str, op: WaitOp, memory: SharedMemory) -> Result<(), Error> {
        let functions = &mut self.functions;
        match op {
            WaitOp::Wait32 => functions.func_wrap("", name, wait32(memory))?,
            WaitOp::Wait64 => functions.func_wrap("", name, wait64(memory))?,
            WaitOp::Notify => functions.func_wrap("", name, notify(memory, &self.lot))?,
        };
        Ok(())
    }

    /// Fills the table of `instance`, which has run no code yet.
    pub(crate) fn bind(&self, store: &mut Store<T>, instance: Instance) -> Result<(), Error> {
        let Some(name) = &self.table else {
            return Ok(());
        };
        let table = instance
            .get_table(&mut *store, name)
            .ok_or_else(|| Error::msg("a prepared module lacks its table of waits"))?;
        for (index, (slot, source)) in self.slots.iter().enumerate() {
            let function = match source {
                Source::Shared(name) => self.functions.get(&mut *store, "", name)?.into_func(),
                Source::Instance => {
                    let memory = instance.get_shared_memory(&mut *store, &slot.memory_export);
                    memory.map(|memory| match slot.op {
                        WaitOp::Wait32 => Func::wrap(&mut *store, wait32(memory)),
                        WaitOp::Wait64 => Func::wrap(&mut *store, wait64(memory)),
                        WaitOp::Notify => Func::wrap(&mut *store, notify(memory, &self.lot)),
                    })
                }
            };
            if function.is_none() {
                return Err(Error::msg("a prepared module lacks a memory of its waits"));
            }
            table.set(&mut *store, index as u64, Ref::Func(function))?;
        }
        Ok(())
    }
}

fn wait32<T: 'static>(
    memory: SharedMemory,
) -> impl Fn(Caller<'_, T>, i64, i32, i64) -> Result<i32, Error> + Send + Sync + 'static {
    move |caller, address, expected, timeout| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        let thread = thread()?;
        let outcome = thread
            .waiter()
            .wait32(word, expected as u32, timeout, &mut || {
                thread.report(|| WasmBacktrace::force_capture(&caller));
            });
        result(outcome)
    }
}

fn wait64<T: 'static>(
    memory: SharedMemory,
) -> impl Fn(Caller<'_, T>, i64, i64, i64) -> Result<i32, Error> + Send + Sync + 'static {
    move |caller, address, expected, timeout| {
        let word = word64(&memory, address as u64).map_err(Trap::from)?;
        let thread = thread()?;
        let outcome = thread
            .waiter()
            .wait64(word, expected as u64, timeout, &mut || {
                thread.report(|| WasmBacktrace::force_capture(&caller));
            });
        result(outcome)
    }
}

fn notify(
    memory: SharedMemory,
    lot: &Arc<ParkingLot>,
) -> impl Fn(i64, i32) -> Result<i32, Error> + Send + Sync + 'static {
    let lot = Arc::clone(lot);
    move |address, count| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        Ok(lot.notify(word, count as u32) as i32)
    }
}

/// The guest thread that waits.
fn thread() -> Result<Arc<ThreadRecord>, Error> {
    // Bound functions are called by instances of the group only, on threads that are entered.
    current::get().ok_or_else(|| Error::msg("a wait outside of a thread group"))
}

/// What the guest gets.
fn result(outcome: WaitOutcome) -> Result<i32, Error> {
    match outcome.code() {
        Some(code) => Ok(code as i32),
        None => Err(GroupEnded.into()),
    }
}
