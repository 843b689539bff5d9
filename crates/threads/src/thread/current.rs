//! Which guest thread the calling host thread runs.
//!
//! Host functions that every instance shares (the waits) find their thread here, so that they are made
//! once per group and not once per thread.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Instant;

use crate::host::panics::caught;
use crate::sys::running;
use crate::watch::record::ThreadRecord;

thread_local! {
    static CURRENT: RefCell<Option<Arc<ThreadRecord>>> = const { RefCell::new(None) };
}

/// Makes `record` the calling host thread's guest thread while `f` runs. Nests: host code of one
/// group may run another.
pub(crate) fn enter<R>(record: &Arc<ThreadRecord>, f: impl FnOnce() -> R) -> R {
    struct Restore(Option<Arc<ThreadRecord>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let _restore = Restore(CURRENT.replace(Some(Arc::clone(record))));
    f()
}

/// The guest thread the calling host thread runs, if any.
pub(crate) fn get() -> Option<Arc<ThreadRecord>> {
    CURRENT.with_borrow(Clone::clone)
}

/// Looks at the guest thread the calling host thread runs, if any. `f` is no foreign code: it must not
/// [`enter`].
pub(crate) fn with<R>(f: impl FnOnce(&ThreadRecord) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.as_deref().map(f))
}

/// Says that the calling thread is in the host call `name`, until the guard is dropped. For host
/// functions that may block: the name appears in [`Report`](crate::Report)s and among the threads
/// [left behind](crate::ThreadGroup::left_behind). Calls nest. Reads the clock and takes one lock that
/// is rarely contended; does nothing on a thread that runs no guest.
#[must_use = "the call is over when the guard is dropped"]
pub fn host_call(name: &'static str) -> HostCall {
    let thread = get();
    let before = thread
        .as_ref()
        .and_then(|thread| thread.set_host_call(Some((name, Instant::now()))));
    let guard = HostCall {
        thread,
        name,
        before,
        _mark: running::mark(false),
    };
    if let Some(thread) = &guard.thread
        && let Some(watch) = thread.watch()
    {
        watch.observer().host_call_began(thread.id(), name);
    }
    guard
}

/// The guard of [`host_call`].
pub struct HostCall {
    thread: Option<Arc<ThreadRecord>>,
    name: &'static str,
    before: Option<(&'static str, Instant)>,
    _mark: running::Marked,
}

impl Drop for HostCall {
    fn drop(&mut self) {
        if let Some(thread) = &self.thread {
            thread.set_host_call(self.before);
            if let Some(watch) = thread.watch() {
                // Perhaps in the course of a panic, which a second one would turn into an abort.
                caught(|| watch.observer().host_call_ended(thread.id(), self.name));
            }
        }
    }
}
