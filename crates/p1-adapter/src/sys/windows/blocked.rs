//! Ending a call that waits in the system, by having the system cancel it.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::ptr::with_exposed_provenance_mut;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::IO::{CancelIoEx, CancelSynchronousIo, OVERLAPPED};
use windows_sys::Win32::System::Threading::GetCurrentThread;

/// How long the system is given to cancel a call before it is asked again: the thread may not have
/// reached it yet.
const AGAIN: Duration = Duration::from_millis(1);

/// A call of the calling thread's that can be cancelled, until this is dropped. It fails with
/// `EINTR` then.
pub(crate) struct Cancellable(Arc<Mutex<WaitingCall>>);

/// Locked while the call is cancelled, so that no later call of the thread's is.
#[derive(Default)]
struct WaitingCall {
    /// Whether the thread has left the call.
    has_returned: bool,
    /// A call on an asynchronous handle that goes on while the thread waits for it: the handle and
    /// its structure, by their addresses.
    pending: Option<(usize, usize)>,
}

impl WaitingCall {
    fn cancel(&self, thread: HANDLE) {
        // SAFETY: the handles are open, and the structure lives for as long as it stands here. That
        // nothing is there to be cancelled is an error that says so.
        match self.pending {
            Some((handle, place)) => unsafe {
                let place = with_exposed_provenance_mut(place);
                CancelIoEx(with_exposed_provenance_mut(handle), place);
            },
            None => unsafe {
                CancelSynchronousIo(thread);
            },
        }
    }
}

thread_local! {
    /// This thread, for others to name; nothing where the system has no handle left.
    static THIS: Option<Arc<OwnedHandle>> = this_thread();
    /// The call that this thread makes, if it can be cancelled.
    static CALL: RefCell<Option<Arc<Mutex<WaitingCall>>>> = const { RefCell::new(None) };
}

fn locked(call: &Mutex<WaitingCall>) -> MutexGuard<'_, WaitingCall> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `wait`, which waits for the end of a call on an asynchronous handle. What cancels the
/// calling thread's call cancels that one.
pub(in crate::sys) fn while_pending<R>(
    handle: HANDLE,
    place: *mut OVERLAPPED,
    wait: impl FnOnce() -> R,
) -> R {
    let call = CALL.with_borrow(Clone::clone);
    let set = |pending| {
        if let Some(call) = &call {
            locked(call).pending = pending;
        }
    };
    set(Some((
        handle.expose_provenance(),
        place.expose_provenance(),
    )));
    let done = wait();
    set(None);
    done
}

fn this_thread() -> Option<Arc<OwnedHandle>> {
    // SAFETY: a number that stands for the calling thread, and is never closed.
    let this = unsafe { BorrowedHandle::borrow_raw(GetCurrentThread()) };
    this.try_clone_to_owned().ok().map(Arc::new)
}

impl Cancellable {
    /// What cancels it, too: on a thread of its own, again and again, until the call has returned.
    /// Nothing if the system has no handle left.
    pub(crate) fn begin() -> Option<(Self, impl FnOnce() + Send + 'static)> {
        let thread = THIS.with(Clone::clone)?;
        let call = Arc::new(Mutex::new(WaitingCall::default()));
        CALL.set(Some(Arc::clone(&call)));
        let seen = Arc::clone(&call);
        let cancel = move || {
            let until_returned = move || {
                loop {
                    let call = locked(&seen);
                    if call.has_returned {
                        return;
                    }
                    call.cancel(thread.as_handle().as_raw_handle());
                    drop(call);
                    std::thread::sleep(AGAIN);
                }
            };
            // Without a thread left the call goes on until it is done.
            let _ = std::thread::Builder::new().spawn(until_returned);
        };
        Some((Self(call), cancel))
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        CALL.set(None);
        locked(&self.0).has_returned = true;
    }
}
