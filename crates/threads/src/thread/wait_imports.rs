//! The host's side of the waits that the rewrite took out of a module.
//!
//! A prepared module calls its waits and notifies through an exported table (see
//! [`rewrite`](crate::rewrite)). Each instance's table is filled here, after its instantiation and before any
//! of its code runs, with functions that reach the group's [`ParkingLot`].

use std::sync::Arc;

use wasmtime::{
    Caller, Engine, Error, Func, Instance, Linker, Ref, SharedMemory, Store, Trap, WasmBacktrace,
};

use crate::life::Life;
use crate::memory::words::{same_memory, word32, word64};
use crate::module::prepare::Prepared;
use crate::rewrite::{WaitOp, WaitSlot};
use crate::sys::running;
use crate::thread::current;
use crate::thread::interrupt::Unwinding;
use crate::types::fuel::Fuel;
use crate::waits::{ParkingLot, WaitOutcome, Waiter, Width};
use crate::watch::observer::Watch;
use crate::watch::record::ThreadRecord;

/// Fills the wait tables of one group's instances.
pub(crate) struct Binder<T: 'static> {
    lot: Arc<ParkingLot>,
    watch: Option<Arc<Watch>>,
    unwinding: Arc<Unwinding>,
    fuel: Option<Arc<Fuel>>,
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
    /// `imported` are the module's imported memories by index, `None` for one that is not shared. Their place
    /// among `memories`, the group's, is what reports call them by.
    pub(crate) fn new(
        engine: &Engine,
        life: &Life,
        fuel: Option<&Arc<Fuel>>,
        prepared: Option<&Prepared>,
        imported: &[Option<SharedMemory>],
        memories: &[SharedMemory],
    ) -> Result<Self, Error> {
        let mut binder = Self {
            lot: Arc::clone(life.lot()),
            watch: life.watch().cloned(),
            unwinding: Arc::clone(life.errors()),
            fuel: fuel.cloned(),
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
                    let place = memories.iter().position(|other| same_memory(other, memory));
                    binder.define(&name, slot.op, memory.clone(), place)?;
                    Source::Shared(name)
                }
                _ => Source::Instance,
            };
            binder.slots.push((slot.clone(), source));
        }
        Ok(binder)
    }

    fn define(
        &mut self,
        name: &str,
        op: WaitOp,
        memory: SharedMemory,
        place: Option<usize>,
    ) -> Result<(), Error> {
        let functions = &mut self.functions;
        let watch = self.watch.clone();
        let (unwinding, fuel) = (Arc::clone(&self.unwinding), self.fuel.clone());
        match op {
            WaitOp::Wait32 => {
                functions.func_wrap("", name, wait32(memory, place, unwinding, fuel))?
            }
            WaitOp::Wait64 => {
                functions.func_wrap("", name, wait64(memory, place, unwinding, fuel))?
            }
            WaitOp::Notify => {
                functions.func_wrap("", name, notify(memory, place, &self.lot, watch))?
            }
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
        let shared = || (Arc::clone(&self.unwinding), self.fuel.clone());
        for (index, (slot, source)) in self.slots.iter().enumerate() {
            let function = match source {
                Source::Shared(name) => self.functions.get(&mut *store, "", name)?.into_func(),
                Source::Instance => {
                    let memory = instance.get_shared_memory(&mut *store, &slot.memory_export);
                    memory.map(|memory| match slot.op {
                        WaitOp::Wait32 => {
                            let (unwinding, fuel) = shared();
                            Func::wrap(&mut *store, wait32(memory, None, unwinding, fuel))
                        }
                        WaitOp::Wait64 => {
                            let (unwinding, fuel) = shared();
                            Func::wrap(&mut *store, wait64(memory, None, unwinding, fuel))
                        }
                        WaitOp::Notify => {
                            let watch = self.watch.clone();
                            Func::wrap(&mut *store, notify(memory, None, &self.lot, watch))
                        }
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

/// The function of a `memory.atomic.wait32`. `place` is the memory's among the group's.
///
/// The guest's number is turned into the bytes that are in the memory, which are little-endian on every host.
fn wait32<T: 'static>(
    memory: SharedMemory,
    place: Option<usize>,
    unwinding: Arc<Unwinding>,
    fuel: Option<Arc<Fuel>>,
) -> impl Fn(Caller<'_, T>, i64, i32, i64) -> Result<i32, Error> + Send + Sync + 'static {
    move |caller: Caller<'_, T>, address, expected, timeout| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        let expected = (expected as u32).to_le();
        let at_once = |waiter: &Waiter| waiter.differs32(word, expected);
        if let Some(outcome) = unobserved(at_once) {
            return result(outcome, &unwinding);
        }
        let thread = thread()?;
        let wait = |caller: &mut Caller<'_, T>| {
            let wait = || {
                thread.waiter().wait32(word, expected, timeout, &mut || {
                    thread.report(|| WasmBacktrace::force_capture(&*caller));
                })
            };
            match thread.watch() {
                None => wait(),
                Some(watch) => {
                    let at = (place, address as u64);
                    watch.wait(&thread, at, Width::W32, timeout, wait)
                }
            }
        };
        let outcome = holding_no_fuel(fuel.as_deref(), caller, wait)?;
        result(outcome, &unwinding)
    }
}

/// The function of a `memory.atomic.wait64`, as [`wait32`].
fn wait64<T: 'static>(
    memory: SharedMemory,
    place: Option<usize>,
    unwinding: Arc<Unwinding>,
    fuel: Option<Arc<Fuel>>,
) -> impl Fn(Caller<'_, T>, i64, i64, i64) -> Result<i32, Error> + Send + Sync + 'static {
    move |caller: Caller<'_, T>, address, expected, timeout| {
        let word = word64(&memory, address as u64).map_err(Trap::from)?;
        let expected = (expected as u64).to_le();
        let at_once = |waiter: &Waiter| waiter.differs64(word, expected);
        if let Some(outcome) = unobserved(at_once) {
            return result(outcome, &unwinding);
        }
        let thread = thread()?;
        let wait = |caller: &mut Caller<'_, T>| {
            let wait = || {
                thread.waiter().wait64(word, expected, timeout, &mut || {
                    thread.report(|| WasmBacktrace::force_capture(&*caller));
                })
            };
            match thread.watch() {
                None => wait(),
                Some(watch) => {
                    let at = (place, address as u64);
                    watch.wait(&thread, at, Width::W64, timeout, wait)
                }
            }
        };
        let outcome = holding_no_fuel(fuel.as_deref(), caller, wait)?;
        result(outcome, &unwinding)
    }
}

fn notify(
    memory: SharedMemory,
    place: Option<usize>,
    lot: &Arc<ParkingLot>,
    watch: Option<Arc<Watch>>,
) -> impl Fn(i64, i32) -> Result<i32, Error> + Send + Sync + 'static {
    let lot = Arc::clone(lot);
    move |address, count| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        let count = count as u32;
        let woken = match &watch {
            None => lot.notify(word, count),
            Some(watch) => watch.notify(&lot, (place, address as u64), count, |tag, each| {
                lot.notify_tagged(word, count, tag, each)
            }),
        };
        Ok(woken as i32)
    }
}

/// Waits. A thread that does needs no fuel, and others may.
fn holding_no_fuel<T: 'static>(
    fuel: Option<&Fuel>,
    mut caller: Caller<'_, T>,
    wait: impl FnOnce(&mut Caller<'_, T>) -> WaitOutcome,
) -> Result<WaitOutcome, Error> {
    let _mark = running::mark(true);
    match fuel {
        None => Ok(wait(&mut caller)),
        Some(fuel) => fuel.without(caller, wait),
    }
}

/// What a wait answers that does not have to wait, unless somebody watches it.
fn unobserved(at_once: impl FnOnce(&Waiter) -> Option<WaitOutcome>) -> Option<WaitOutcome> {
    current::with(|thread| match thread.watch() {
        None => at_once(thread.waiter()),
        Some(_) => None,
    })
    .flatten()
}

/// The guest thread that waits.
fn thread() -> Result<Arc<ThreadRecord>, Error> {
    // Bound functions are called by instances of the group only, on threads that are entered.
    current::get().ok_or_else(|| Error::msg("a wait outside of a thread group"))
}

/// What the guest gets.
fn result(outcome: WaitOutcome, unwinding: &Unwinding) -> Result<i32, Error> {
    match outcome.code() {
        Some(code) => Ok(code as i32),
        None => Err(unwinding.error()),
    }
}
