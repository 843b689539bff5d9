//! The system calls in which threads of the tests wait, by the numbers in
//! `/proc/self/task/N/syscall`.
//!
//! They are the numbers of the kernel that runs the process. In an emulator that is a kernel for
//! x86-64 (`scripts/cross.sh` runs on such machines), whatever the tests were built for.

use crate::guest::emulated::emulated;
use std::ffi::c_long;

/// Waits for a word of memory to change.
pub(crate) fn is_lock(call: c_long) -> bool {
    call == if emulated() { 202 } else { libc::SYS_futex }
}

/// `poll` and `ppoll`.
pub(crate) fn is_poll(call: c_long) -> bool {
    if emulated() {
        return [7, 271].contains(&call);
    }
    #[cfg(target_arch = "x86_64")]
    if call == libc::SYS_poll {
        return true;
    }
    call == libc::SYS_ppoll
}

/// Waits for something to happen outside of the process.
pub(crate) fn waits_outside(call: c_long) -> bool {
    /// `read`, `write`, `open`, `sendto`, `recvfrom`, `clock_nanosleep`, `openat`, `accept4`,
    /// `openat2`.
    const X86_64: &[c_long] = &[0, 1, 2, 44, 45, 230, 257, 288, 437];
    const OWN: &[c_long] = &[
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open,
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_openat,
        libc::SYS_openat2,
        libc::SYS_accept4,
        libc::SYS_recvfrom,
        libc::SYS_sendto,
        libc::SYS_clock_nanosleep,
    ];
    is_poll(call) || if emulated() { X86_64 } else { OWN }.contains(&call)
}
