//! Which guest thread the calling host thread runs.
//!
//! Host functions that every instance shares (the waits) find their thread here, so that they are
//! made once per group and not once per thread.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::host::panics::caught;
use crate::sys::running::{self, SampledIn};
use crate::types::thread_id::ThreadId;
use crate::waits::ParkingLot;
use crate::watch::noted_call;
use crate::watch::observer::Watch;
use crate::watch::record::ThreadRecord;

/// A guest thread, and the observer of its group.
#[derive(Clone)]
struct Entered {
    record: Arc<ThreadRecord>,
    watch: Option<Arc<Watch>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Entered>> = const { RefCell::new(None) };
}

/// Makes `record` the calling host thread's guest thread while `f` runs. Calls nest: host code of
/// one group may run another.
pub(crate) fn enter<R>(
    record: &Arc<ThreadRecord>,
    watch: Option<&Arc<Watch>>,
    f: impl FnOnce() -> R,
) -> R {
    struct RestoreEntered(Option<Entered>);
    impl Drop for RestoreEntered {
        fn drop(&mut self) {
            CURRENT.set(self.0.take());
        }
    }
    let entered = Entered {
        record: Arc::clone(record),
        watch: watch.cloned(),
    };
    let _before = record.noted_call().enter();
    let _restore = RestoreEntered(CURRENT.replace(Some(entered)));
    f()
}

/// The guest thread the calling host thread runs, if any.
pub(crate) fn get() -> Option<Arc<ThreadRecord>> {
    CURRENT.with_borrow(|current| current.as_ref().map(|one| Arc::clone(&one.record)))
}

/// Looks at the guest thread that the calling host thread runs, if any. `f` must not [`enter`], so
/// it must not run foreign code.
pub(crate) fn with<R>(f: impl FnOnce(&ThreadRecord) -> R) -> Option<R> {
    CURRENT.with_borrow(|current| current.as_ref().map(|one| f(&one.record)))
}

/// The id of the calling thread in the group whose parking lot this is; `None` for host code
/// outside of that group, and for a thread of another group.
pub(crate) fn id_in(lot: &Arc<ParkingLot>) -> Option<ThreadId> {
    with(|thread| thread.is_of(lot).then(|| thread.id())).flatten()
}

/// Says that the calling thread is in the host call `name`, until the guard is dropped. For host
/// functions that may block: the name appears in [`Report`](crate::Report)s and among the threads
/// [left behind](crate::ThreadGroup::left_behind). Calls nest. Reads the clock and takes one lock
/// that is rarely contended; does nothing on a thread that runs no guest.
#[must_use = "the call is over when the guard is dropped"]
pub fn host_call(name: &'static str) -> HostCall {
    let thread = CURRENT.with_borrow(Clone::clone);
    let before = thread
        .as_ref()
        .and_then(|thread| thread.record.set_host_call(Some((name, Instant::now()))));
    let guard = HostCall {
        thread,
        name,
        before,
        _mark: running::mark(false),
    };
    if let Some(Entered {
        record,
        watch: Some(watch),
    }) = &guard.thread
    {
        watch.observer().host_call_began(record.id(), name);
    }
    guard
}

/// Notes by its number that the calling thread is in a host call, or with 0 that it is in none.
/// Returns what was noted before, to be noted again. It is meant for every call: it costs two plain
/// accesses to memory, and no lock, clock or observer. The names are those given to
/// [`GroupBuilder::host_call_names`](crate::GroupBuilder::host_call_names). They appear where the
/// names of [`host_call`] do, and if a call has both, that of [`host_call`] does. Does nothing on a
/// thread that runs no guest.
///
/// ```
/// use p1_adapter::{CallObserver, CallOutcome};
/// use wasi_threads::note_host_call;
///
/// // For `GroupBuilder::host_call_names`: calls that may wait.
/// const NAMES: &[&str] = &["fd_read", "poll_oneoff"];
///
/// struct Noting;
///
/// impl CallObserver for Noting {
///     fn started(&self, function: &'static str) -> u64 {
///         let number = NAMES.iter().position(|name| *name == function);
///         note_host_call(number.map_or(0, |number| number as u16 + 1)).into()
///     }
///
///     fn ended(&self, _: &'static str, before: u64, _: CallOutcome<'_>) {
///         note_host_call(before as u16);
///     }
/// }
/// ```
pub fn note_host_call(number: u16) -> u16 {
    noted_call::note(number)
}

/// [`note_host_call`], for calls that may wait. If the calling thread's group is profiled
/// ([`GroupBuilder::profile`](crate::GroupBuilder::profile)), the time until the next note is the
/// call's, and samples show the part in which the thread does not run. Then a call costs two looks
/// at the clock. Takes no lock.
pub fn time_host_call(number: u16) -> u16 {
    let before = noted_call::note(number);
    if before != 0 {
        running::end();
    }
    if number != 0 {
        running::begin(SampledIn::HostCode, number);
    }
    before
}

/// The guard of [`host_call`].
pub struct HostCall {
    thread: Option<Entered>,
    name: &'static str,
    before: Option<(&'static str, Instant)>,
    _mark: running::Marked,
}

impl fmt::Debug for HostCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostCall")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Drop for HostCall {
    fn drop(&mut self) {
        let Some(Entered { record, watch }) = &self.thread else {
            return;
        };
        record.set_host_call(self.before);
        if let Some(watch) = watch {
            // This may run during a panic, and a second panic would abort.
            caught(|| watch.observer().host_call_ended(record.id(), self.name));
        }
    }
}
