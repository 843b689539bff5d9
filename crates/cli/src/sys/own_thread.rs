//! What the calling thread asks of the system for itself.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Lets the calling thread take these signals. A process may be started with all of them blocked.
pub(super) fn unblock(signals: &[i32]) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised before it is used; a number that is no signal is refused, and not added.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
    }
}

/// Asks for turns before threads that compute, as whoever takes signals needs few and short ones. Where that is not allowed,
/// nothing changes.
pub(super) fn hurry() {
    // SAFETY: a number of the calling thread's, which the system checks. (On Linux priorities are threads'.)
    #[cfg(target_os = "linux")]
    let _ = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -20) };
}
