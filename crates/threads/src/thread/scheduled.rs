//! The host's side of points, and of waits and notifies under a schedule.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use wasmtime::{CallHook, Caller, Error, Instance, Store, Val, WasmBacktrace};

use crate::life::Life;
use crate::rewrite::{AccessSite, PointKind};
use crate::schedule::{Current, GuestAccess, Turns, Waited, Why};
use crate::sys::{call_hook, running};
use crate::thread::current;
use crate::types::backtrace::Backtrace;
use crate::waits::{ParkingLot, WaitOutcome, Width};

/// The function that a module calls when its points are used up. Without a schedule no other thread
/// is next, and the module goes on counting.
pub(crate) fn point<T: 'static>(
    life: &Life,
) -> impl Fn(Caller<'_, T>, i32) -> Result<i64, Error> + Send + Sync + 'static {
    let turns = life.turns().cloned();
    let unwinding = Arc::clone(life.errors());
    move |caller: Caller<'_, T>, kind| {
        let Some(turns) = &turns else {
            return Ok(i64::MAX);
        };
        let why = match PointKind::of_code(kind) {
            Some(PointKind::Access) => Why::Access,
            Some(PointKind::Loop) => Why::Loop,
            Some(PointKind::Wait) => Why::Wait,
            Some(PointKind::Notify) => Why::Notify,
            // Only the rewrite's own code calls this, with valid numbers.
            _ => Why::Atomic,
        };
        let _mark = running::mark(true);
        let left = turns.point(why, &mut || report(&caller));
        left.map_err(|_| unwinding.error())
    }
}

/// The function that a module calls before an access. `memories` are the numbers of the module's
/// memories among the group's.
pub(crate) fn access<T: 'static>(
    life: &Arc<Life>,
    sites: &Arc<[AccessSite]>,
    memories: Vec<Option<usize>>,
) -> impl Fn(Caller<'_, T>, i64, i64, i32) + Send + Sync + 'static {
    let turns = life.turns().cloned();
    let observer = match &turns {
        Some(turns) => turns.accesses(),
        None => life.accesses(),
    };
    let observer = observer.cloned();
    let counts = observer.as_ref().is_some_and(|one| one.counts_points());
    let sites = Arc::clone(sites);
    let life = Arc::downgrade(life);
    move |caller: Caller<'_, T>, address: i64, length: i64, site: i32| {
        let Some(observer) = &observer else {
            return;
        };
        let own = match &turns {
            Some(turns) => turns.own(),
            None => current::with(|thread| thread.id()),
        };
        // Only the rewrite's own code calls this, with valid numbers.
        let site = site.cast_unsigned();
        let (Some(instruction), Some(thread)) = (sites.get(site as usize), own) else {
            return;
        };
        let point = match &turns {
            Some(turns) if counts => turns.point_of(thread),
            _ => 0,
        };
        let trace = || {
            let trace = WasmBacktrace::force_capture(&caller);
            Some(Backtrace::taken(trace, life.upgrade()?.appended()))
        };
        let memory = memories.get(instruction.memory as usize);
        observer.access(&GuestAccess {
            thread,
            point,
            site,
            instruction,
            memory: memory.copied().flatten(),
            address: address.cast_unsigned(),
            length: length.cast_unsigned(),
            trace: &trace,
        });
    }
}

/// Reports where the calling thread is, if another thread has asked.
pub(crate) fn report<T>(caller: &Caller<'_, T>) {
    if let Some(thread) = current::get()
        && thread.waiter().take_report()
    {
        thread.report(|| WasmBacktrace::force_capture(caller));
    }
}

/// Makes the points count that `instance` passes. Its export `left` says how many it may still
/// pass.
///
/// While the host runs, the thread holds that number. So host functions know how many points were
/// passed, and a new budget is in the instance when wasm goes on.
pub(crate) fn count<T: 'static>(
    store: &mut Store<T>,
    instance: Instance,
    left: &str,
) -> Result<(), Error> {
    let left = instance
        .get_global(&mut *store, left)
        .ok_or_else(|| Error::msg("a prepared module lacks its count of points"))?;
    // What the instance had when it last called. Most calls pass no points, and leave it that.
    let mut had = None;
    call_hook::set(store, move |mut store, hook| {
        match hook {
            CallHook::CallingWasm | CallHook::ReturningFromHost => {
                let now = Current::left();
                if let Some(now) = now.filter(|_| now != had) {
                    left.set(&mut store, Val::I64(now))?;
                }
            }
            CallHook::CallingHost | CallHook::ReturningFromWasm => {
                if let Val::I64(now) = left.get(&mut store) {
                    had = Some(now);
                    Current::set_left(now);
                }
            }
        }
        Ok(())
    });
    Ok(())
}

/// Wakes up to `count` threads that wait on `word`: first the group's, by its schedule if it has
/// one, then those of the host.
pub(crate) fn notify(
    turns: Option<&Turns>,
    lot: &ParkingLot,
    word: &AtomicU32,
    count: u32,
    tag: u64,
    each: &mut dyn FnMut(u32),
) -> u32 {
    let Some(turns) = turns else {
        return match tag {
            0 => lot.notify(word, count),
            tag => lot.notify_tagged(word, count, tag, each),
        };
    };
    let woken = turns.notify(std::ptr::from_ref(word).addr(), count, tag, each);
    woken + lot.notify_tagged(word, count - woken, tag, each)
}

/// Waits on the word at a host address under a schedule. Returns the outcome, and the tag of the
/// notify that ended the wait.
pub(crate) fn wait(
    turns: &Turns,
    word: usize,
    width: Width,
    timeout: i64,
    report: &mut dyn FnMut(),
) -> (WaitOutcome, Option<u64>) {
    match turns.wait(word, width, timeout, report) {
        Ok(Some(Waited::Woken(tag))) => (WaitOutcome::Woken, Some(tag)),
        Ok(Some(Waited::TimedOut)) => (WaitOutcome::TimedOut, None),
        Ok(None) | Err(_) => (WaitOutcome::Ended, None),
    }
}
