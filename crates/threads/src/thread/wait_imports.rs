//! The host's side of the waits that the rewrite replaced in a module.
//!
//! A prepared module calls its waits and notifies through an exported table (see
//! [`rewrite`](crate::rewrite)). Each instance's table is filled here, after its instantiation and
//! before any of its code runs, with functions that reach the group's [`ParkingLot`].

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use wasmtime::{
    Caller, Engine, Error, Func, Instance, Linker, Ref, SharedMemory, Store, Trap, WasmBacktrace,
};

use crate::life::Life;
use crate::life::profiling;
use crate::life::unwinding::Unwinding;
use crate::memory::words::{same_memory, word32, word64};
use crate::module::prepared::Prepared;
use crate::rewrite::{PointSlot, WaitOp, WaitSlot};
use crate::schedule::{Turns, Why};
use crate::sys::running::{self, SampledIn};
use crate::thread::{current, scheduled};
use crate::types::fuel;
use crate::waits::{ParkingLot, WaitOutcome, Waiter, Width};
use crate::watch::noted_call;
use crate::watch::observer::Watch;

/// Fills the wait tables of one group's instances.
pub(crate) struct Binder<T: 'static> {
    group: Arc<Group>,
    table: Option<String>,
    slots: Vec<(WaitSlot, Source)>,
    /// The table entry for points.
    point: Option<PointSlot>,
    /// The table entry for accesses.
    access: Option<u32>,
    /// The functions of [`Source::Shared`] slots, made once for all instances, named by slot.
    functions: Linker<T>,
}

/// What the functions of all slots use.
struct Group {
    lot: Arc<ParkingLot>,
    /// The schedule, where one thread runs at a time.
    turns: Option<Arc<Turns>>,
    watch: Option<Arc<Watch>>,
    unwinding: Arc<Unwinding>,
    /// Whether the group's fuel is limited.
    limits_fuel: bool,
    /// Whether the threads are sampled. Then waits and notifies note that they run, and how long
    /// they take.
    profiles: bool,
    /// Whether there is neither an observer nor sampling.
    unseen: bool,
}

/// The time of a wait, until it is dropped.
struct TimedWait;

impl TimedWait {
    fn begin() -> Self {
        running::begin(SampledIn::Wait, 0);
        Self
    }
}

impl Drop for TimedWait {
    fn drop(&mut self) {
        running::end();
    }
}

/// The memory that a slot's function works on, and its number among the group's, which reports use.
#[derive(Clone)]
struct Target(SharedMemory, Option<usize>);

/// The name of the function for points.
const POINT: &str = "point";

/// The name of the function for accesses.
const ACCESS: &str = "access";

/// The word of a wait.
#[derive(Clone, Copy)]
struct Awaited {
    /// Its host address.
    host: usize,
    /// A memory's number, and an address in it.
    at: (Option<usize>, u64),
    width: Width,
}

/// Where a slot's function comes from.
enum Source {
    /// The memory is the same in every instance: so is the function, which has this name.
    Shared(String),
    /// The memory belongs to the instance, and so does the function.
    Instance,
}

impl<T: 'static> Binder<T> {
    /// `imported` are the module's imported memories by index, `None` for one that is not shared.
    /// Reports use their index among `memories`, the group's.
    pub(crate) fn new(
        engine: &Engine,
        life: &Arc<Life>,
        limits_fuel: bool,
        profiles: bool,
        prepared: Option<&Prepared>,
        imported: &[Option<SharedMemory>],
        memories: &[SharedMemory],
    ) -> Result<Self, Error> {
        let group = Group {
            lot: Arc::clone(life.lot()),
            turns: life.turns().cloned(),
            watch: life.watch().cloned(),
            unwinding: Arc::clone(life.errors()),
            limits_fuel,
            profiles,
            unseen: !profiles && life.watch().is_none(),
        };
        let mut binder = Self {
            group: Arc::new(group),
            table: None,
            slots: Vec::new(),
            point: None,
            access: prepared.and_then(|prepared| prepared.access_slot),
            functions: Linker::new(engine),
        };
        let Some(prepared) = prepared else {
            return Ok(binder);
        };
        binder.table.clone_from(&prepared.wait_table);
        binder.point.clone_from(&prepared.point_slot);
        if binder.point.is_some() {
            let point = scheduled::point(life);
            binder.functions.func_wrap("", POINT, point)?;
        }
        let number =
            |memory: &SharedMemory| memories.iter().position(|other| same_memory(other, memory));
        if binder.access.is_some() {
            let numbers = imported
                .iter()
                .map(|memory| memory.as_ref().and_then(number));
            let access = scheduled::access(life, &prepared.access_sites, numbers.collect());
            binder.functions.func_wrap("", ACCESS, access)?;
        }
        for (index, slot) in prepared.wait_slots.iter().enumerate() {
            let source = match imported.get(slot.memory as usize) {
                Some(Some(memory)) => {
                    let name = index.to_string();
                    let number = number(memory);
                    binder.define(&name, slot.op, Target(memory.clone(), number))?;
                    Source::Shared(name)
                }
                _ => Source::Instance,
            };
            binder.slots.push((slot.clone(), source));
        }
        Ok(binder)
    }

    fn define(&mut self, name: &str, op: WaitOp, target: Target) -> Result<(), Error> {
        let (functions, group) = (&mut self.functions, &self.group);
        match op {
            WaitOp::Wait32 => functions.func_wrap("", name, wait32(group, target))?,
            WaitOp::Wait64 => functions.func_wrap("", name, wait64(group, target))?,
            WaitOp::Notify => functions.func_wrap("", name, notify(group, target))?,
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
                    let group = &self.group;
                    memory.map(|memory| match (slot.op, Target(memory, None)) {
                        (WaitOp::Wait32, own) => Func::wrap(&mut *store, wait32(group, own)),
                        (WaitOp::Wait64, own) => Func::wrap(&mut *store, wait64(group, own)),
                        (WaitOp::Notify, own) => Func::wrap(&mut *store, notify(group, own)),
                    })
                }
            };
            if function.is_none() {
                return Err(Error::msg("a prepared module lacks a memory of its waits"));
            }
            table.set(&mut *store, index as u64, Ref::Func(function))?;
        }
        if let Some(point) = &self.point {
            let function = self.functions.get(&mut *store, "", POINT)?.into_func();
            table.set(&mut *store, point.slot.into(), Ref::Func(function))?;
            if self.group.turns.is_some() {
                scheduled::count(store, instance, &point.left)?;
            }
        }
        if let Some(slot) = self.access {
            let function = self.functions.get(&mut *store, "", ACCESS)?.into_func();
            table.set(&mut *store, slot.into(), Ref::Func(function))?;
        }
        Ok(())
    }
}

/// The function of a `memory.atomic.wait32`.
///
/// The guest's value becomes the bytes as they are in the memory: little-endian on every host.
fn wait32<T: 'static>(
    group: &Arc<Group>,
    Target(memory, number): Target,
) -> impl Fn(Caller<'_, T>, i64, i32, i64) -> Result<i32, Error> + Send + Sync + 'static {
    let group = Arc::clone(group);
    move |caller: Caller<'_, T>, address, expected, timeout| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        let expected = (expected as u32).to_le();
        let differs = |waiter: &Waiter| waiter.differs32(word, expected);
        if let Some(outcome) = group.unobserved(differs) {
            return group.result(outcome);
        }
        let awaited = Awaited {
            host: std::ptr::from_ref(word).addr(),
            at: (number, address as u64),
            width: Width::W32,
        };
        group.wait(caller, awaited, timeout, differs, |waiter, report| {
            waiter.park32(word, expected, timeout, report)
        })
    }
}

/// The function of a `memory.atomic.wait64`, as [`wait32`].
fn wait64<T: 'static>(
    group: &Arc<Group>,
    Target(memory, number): Target,
) -> impl Fn(Caller<'_, T>, i64, i64, i64) -> Result<i32, Error> + Send + Sync + 'static {
    let group = Arc::clone(group);
    move |caller: Caller<'_, T>, address, expected, timeout| {
        let word = word64(&memory, address as u64).map_err(Trap::from)?;
        let expected = (expected as u64).to_le();
        let differs = |waiter: &Waiter| waiter.differs64(word, expected);
        if let Some(outcome) = group.unobserved(differs) {
            return group.result(outcome);
        }
        let awaited = Awaited {
            host: std::ptr::from_ref(word).addr(),
            at: (number, address as u64),
            width: Width::W64,
        };
        group.wait(caller, awaited, timeout, differs, |waiter, report| {
            waiter.park64(word, expected, timeout, report)
        })
    }
}

/// The function of a `memory.atomic.notify`.
fn notify<T: 'static>(
    group: &Arc<Group>,
    Target(memory, number): Target,
) -> impl Fn(Caller<'_, T>, i64, i32) -> Result<i32, Error> + Send + Sync + 'static {
    let group = Arc::clone(group);
    move |caller: Caller<'_, T>, address, count| {
        let word = word32(&memory, address as u64).map_err(Trap::from)?;
        let at = (number, address as u64);
        if let Some(turns) = &group.turns {
            let woken = group.notify(word, at, count as u32);
            if woken > 0 {
                let _mark = running::mark(true);
                let changed = turns.changed(Why::Notify, &mut || scheduled::report(&caller));
                changed.map_err(|_| group.unwinding.error())?;
            }
            return Ok(woken as i32);
        }
        if !group.profiles {
            return Ok(group.notify(word, at, count as u32) as i32);
        }
        let _mark = running::mark(false);
        let before = noted_call::note(profiling::NOTIFY);
        let woken = group.notify(word, at, count as u32);
        noted_call::note(before);
        Ok(woken as i32)
    }
}

impl Group {
    /// How many were woken at `at`, a memory's number and an address in it, where `word` is.
    fn notify(&self, word: &AtomicU32, at: (Option<usize>, u64), count: u32) -> u32 {
        let lot = &self.lot;
        match &self.watch {
            None => scheduled::notify(self.turns.as_deref(), lot, word, count, 0, &mut |_| ()),
            Some(watch) => watch.notify(current::id_in(lot), at, count, |tag, each| {
                scheduled::notify(self.turns.as_deref(), lot, word, count, tag, each)
            }),
        }
    }

    /// The result of a wait that does not have to wait; `None` if it has to, or if it is observed
    /// or sampled.
    fn unobserved(
        &self,
        differs: impl FnOnce(&Waiter) -> Option<WaitOutcome>,
    ) -> Option<WaitOutcome> {
        if !self.unseen {
            return None;
        }
        current::with(|thread| differs(thread.waiter())).flatten()
    }

    /// Waits on `word`, as the guest thread that calls. The caller [has compared](Self::unobserved)
    /// the word before, unless the wait is observed or sampled. The thread gives its fuel back
    /// meanwhile: others may need it.
    fn wait<T: 'static>(
        &self,
        mut caller: Caller<'_, T>,
        word: Awaited,
        timeout: i64,
        differs: impl FnOnce(&Waiter) -> Option<WaitOutcome>,
        park: impl FnOnce(&Waiter, &mut dyn FnMut()) -> WaitOutcome,
    ) -> Result<i32, Error> {
        // Only instances of the group call bound functions, and on threads that are entered.
        let thread =
            current::get().ok_or_else(|| Error::msg("a wait outside of a thread group"))?;
        let waiter = thread.waiter();
        let _mark = running::mark(true);
        let _timed = self.profiles.then(TimedWait::begin);
        let Awaited { host, at, width } = word;
        let tag = Cell::new(None);
        let wait = |caller: &mut Caller<'_, T>| {
            let park = || {
                let mut report = || thread.report(|| WasmBacktrace::force_capture(&*caller));
                match &self.turns {
                    None => park(waiter, &mut report),
                    Some(turns) => {
                        // A request for a backtrace that came before the wait began.
                        if waiter.take_report() {
                            report();
                        }
                        let (outcome, by) =
                            scheduled::wait(turns, host, width, timeout, &mut report);
                        tag.set(by);
                        outcome
                    }
                }
            };
            match &self.watch {
                None if self.unseen => park(),
                None => differs(waiter).unwrap_or_else(park),
                Some(watch) => {
                    let wait = || differs(waiter).unwrap_or_else(park);
                    let tag = || tag.get().unwrap_or_else(|| waiter.tag());
                    watch.wait(thread.id(), tag, at, width, timeout, wait)
                }
            }
        };
        self.result(match self.limits_fuel {
            false => wait(&mut caller),
            true => fuel::without(caller, wait)?,
        })
    }

    /// The result for the guest.
    fn result(&self, outcome: WaitOutcome) -> Result<i32, Error> {
        match outcome.code() {
            Some(code) => Ok(code as i32),
            None => Err(self.unwinding.error()),
        }
    }
}
