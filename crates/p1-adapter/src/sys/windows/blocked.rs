//! Ending a call that waits in the system, by having the system cancel it.
#![allow(unsafe_code)]

use std::os::windows::io::{AsHandle as _, AsRawHandle as _, BorrowedHandle, OwnedHandle};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use windows_sys::Win32::System::IO::CancelSynchronousIo;
use windows_sys::Win32::System::Threading::GetCurrentThread;

/// How long the system is given to cancel a call before it is asked again: the thread may not have
/// reached it yet.
const AGAIN: Duration = Duration::from_millis(1);

/// A call of the calling thread's that can be cancelled, until this is dropped. It fails with
/// `EINTR` then.
pub(crate) struct Cancellable(Arc<Mutex<HasReturned>>);

/// Whether the thread has left the call. Locked while it is cancelled, so that no later call of the
/// thread's is.
struct HasReturned(bool);

thread_local! {
    /// This thread, for others to name; nothing where the system has no handle left.
    static THIS: Option<Arc<OwnedHandle>> = this_thread();
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
        let returned = Arc::new(Mutex::new(HasReturned(false)));
        let seen = Arc::clone(&returned);
        let cancel = move || {
            let until_returned = move || {
                loop {
                    let returned = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    if returned.0 {
                        return;
                    }
                    // SAFETY: the handle is open. That nothing is there to be cancelled is an error
                    // that says so.
                    unsafe { CancelSynchronousIo(thread.as_handle().as_raw_handle()) };
                    drop(returned);
                    std::thread::sleep(AGAIN);
                }
            };
            // Without a thread left the call goes on until it is done.
            let _ = std::thread::Builder::new().spawn(until_returned);
        };
        Some((Self(returned), cancel))
    }
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = true;
    }
}
