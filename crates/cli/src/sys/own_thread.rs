//! Signals that the calling thread blocks or takes, and those that the process ignores.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Lets the calling thread take these signals. A process may be started with all of them blocked.
pub(super) fn unblock(signals: &[i32]) {
    change(libc::SIG_UNBLOCK, signals);
}

/// Blocks these signals for the calling thread, and for those that it starts from now on.
pub(super) fn block(signals: &[i32]) {
    change(libc::SIG_BLOCK, signals);
}

fn change(how: libc::c_int, signals: &[i32]) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised before it is used. A number that is no signal is refused, and
    // is not added.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in signals {
            libc::sigaddset(set.as_mut_ptr(), *signal);
        }
        libc::pthread_sigmask(how, set.as_ptr(), ptr::null_mut());
    }
}

/// Has the process ignore `signal`.
pub(super) fn ignore(signal: i32) {
    // SAFETY: the system checks the number, and no handler runs.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}
