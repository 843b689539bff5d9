//! How a thread that runs wasm, or waits inside wasmtime, is reached.

use std::sync::Arc;

use wasmtime::{SharedMemory, Store, UpdateDeadline, WasmBacktrace};

use crate::life::Life;
use crate::thread::current;
use crate::types::thread_id::ThreadId;

/// Makes `store`, of thread `id`, stop soon after its group has ended.
///
/// The deadline is always the next epoch. When it comes, whatever incremented the epoch, the
/// callback looks at the thread's own group. If the group has ended, wasm is unwound with
/// [`GroupEnded`](crate::GroupEnded); if a backtrace was asked for, the callback takes it;
/// otherwise wasm goes on. The callback changes nothing in the store (RUSTSEC-2026-0223), and a
/// store it unwound is dropped.
///
/// One race remains: Wasmtime computes the next deadline after the callback has returned, from an
/// epoch that the end may just have incremented. So the supervisor increments again until every
/// thread is gone.
pub(crate) fn arm<T>(store: &mut Store<T>, life: &Arc<Life>, id: ThreadId) {
    if !store.engine().get_epoch_interruption() {
        return;
    }
    store.set_epoch_deadline(1);
    let life = Arc::clone(life);
    // If the group does not use epochs, the deadline must not trap either: another user of the
    // engine may tick it.
    let stop = life.has_epochs();
    store.epoch_deadline_callback(move |store| {
        if stop && life.is_ended() {
            return Err(life.unwinding());
        }
        // Instantiation is compiled code too. It may run on the host thread of another guest
        // thread, and must not answer for that one.
        if let Some(thread) = current::get()
            && thread.id() == id
            && thread.is_of(life.lot())
            && thread.waiter().take_report()
        {
            thread.report(|| WasmBacktrace::force_capture(&store));
        }
        Ok(UpdateDeadline::Continue(1))
    });
}

/// How many bytes of memory are swept between two calls of `done`.
const SWEEP_CHUNK: u64 = 1 << 20;

/// Notifies every address of `memory`, so that threads parked in wasmtime's own
/// `memory.atomic.wait` return to wasm, where the epoch ends them.
///
/// For ended groups of unprepared modules only: it wakes threads the guest did not mean to wake.
/// About 10 seconds per GiB. Stops early when `done` says so.
pub(crate) fn sweep(memory: &SharedMemory, mut done: impl FnMut() -> bool) {
    let end = memory.data_size() as u64;
    let mut address = 0;
    while address < end {
        if address % SWEEP_CHUNK == 0 && done() {
            return;
        }
        // In bounds and aligned, so it cannot fail.
        let _ = memory.atomic_notify(address, u32::MAX);
        address += 4;
    }
}
