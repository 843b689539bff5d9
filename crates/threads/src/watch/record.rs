//! What is known about one thread of a group.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wasmtime::WasmBacktrace;

use crate::types::thread_id::ThreadId;
use crate::waits::{ParkingLot, Role, Waiter};
use crate::watch::noted_call::NotedCall;

/// Takes the backtrace of a thread that was asked for one; `None` when the thread ended first.
pub(crate) type Sink = Box<dyn FnOnce(Option<WasmBacktrace>) + Send>;

/// One thread of a group, from the reservation of its place to its end.
pub(crate) struct ThreadRecord {
    id: ThreadId,
    waiter: Waiter,
    /// The address of the group's parking lot. The waiter keeps the lot alive, so no other group
    /// has the address.
    lot: usize,
    /// Whether it has begun to run on its host thread.
    begun: AtomicBool,
    state: Mutex<RecordState>,
    /// The names of the host calls that the thread notes by number, from 1 on.
    call_names: &'static [&'static str],
    /// The number of the host call it is in; 0 for none.
    noted_call: NotedCall,
}

#[derive(Default)]
struct RecordState {
    gone: bool,
    next_key: u64,
    sinks: Vec<(u64, Sink)>,
    host_call: Option<(&'static str, Instant)>,
    idle: bool,
}

impl ThreadRecord {
    pub(crate) fn new(
        id: ThreadId,
        lot: &Arc<ParkingLot>,
        call_names: &'static [&'static str],
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            waiter: lot.register(id.get(), Role::Guest),
            lot: Arc::as_ptr(lot).addr(),
            begun: AtomicBool::new(false),
            state: Mutex::default(),
            call_names,
            noted_call: NotedCall::new(),
        })
    }

    /// Notes that the thread runs on its host thread from here on.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    /// Whether it has begun to run.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    pub(crate) fn id(&self) -> ThreadId {
        self.id
    }

    /// Whether the thread is of the group whose parking lot this is.
    pub(crate) fn is_of(&self, lot: &Arc<ParkingLot>) -> bool {
        self.lot == Arc::as_ptr(lot).addr()
    }

    /// The thread's place in the parking lot.
    pub(crate) fn waiter(&self) -> &Waiter {
        &self.waiter
    }

    /// Asks the thread for a backtrace, which it takes itself, in a wait or at an epoch. `sink` is
    /// called once: on that thread, or on the caller's if the thread has ended. Returns the key for
    /// [`forget`](Self::forget).
    pub(crate) fn ask(&self, sink: Sink) -> u64 {
        let mut state = self.lock();
        state.next_key += 1;
        let key = state.next_key;
        if state.gone {
            drop(state);
            sink(None);
            return key;
        }
        state.sinks.push((key, sink));
        drop(state);
        self.waiter.request_report();
        key
    }

    /// Withdraws a request that was not answered.
    pub(crate) fn forget(&self, key: u64) {
        let mut state = self.lock();
        let index = state.sinks.iter().position(|(other, _)| *other == key);
        let sink = index.map(|index| state.sinks.swap_remove(index));
        drop(state);
        drop(sink);
    }

    /// Answers the requests, on the thread itself.
    pub(crate) fn report(&self, backtrace: impl Fn() -> WasmBacktrace) {
        let sinks = std::mem::take(&mut self.lock().sinks);
        for (_, sink) in sinks {
            sink(Some(backtrace()));
        }
    }

    /// Notes that the thread runs no more wasm.
    pub(crate) fn gone(&self) {
        self.waiter.finish();
        let sinks = {
            let mut state = self.lock();
            state.gone = true;
            std::mem::take(&mut state.sinks)
        };
        for (_, sink) in sinks {
            sink(None);
        }
    }

    /// Whether no host thread works for this thread: it is main, between two calls of a reactor.
    pub(crate) fn is_idle(&self) -> bool {
        self.lock().idle
    }

    /// Sets whether it is.
    pub(crate) fn set_idle(&self, idle: bool) {
        self.lock().idle = idle;
    }

    /// The host call the thread is in, and since when. There is no time if the call is noted by
    /// number only.
    pub(crate) fn host_call(&self) -> Option<(&'static str, Option<Instant>)> {
        if let Some((name, since)) = self.lock().host_call {
            return Some((name, Some(since)));
        }
        let noted = usize::from(self.noted_call.get());
        let name = self.call_names.get(noted.checked_sub(1)?)?;
        Some((name, None))
    }

    /// Notes which host call the thread is in, and returns the one before.
    pub(crate) fn set_host_call(
        &self,
        call: Option<(&'static str, Instant)>,
    ) -> Option<(&'static str, Instant)> {
        std::mem::replace(&mut self.lock().host_call, call)
    }

    /// Where the thread notes by number which host call it is in.
    pub(crate) fn noted_call(&self) -> &NotedCall {
        &self.noted_call
    }

    fn lock(&self) -> MutexGuard<'_, RecordState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
