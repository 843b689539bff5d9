//! Linux on x86-64 and aarch64: `mprotect`, a handler of SIGSEGV before Wasmtime's, a signal of our
//! own, `membarrier`.
#![allow(unsafe_code)]

mod ask;
mod fault;
mod priority;
mod sample;
mod slots;
mod stack;
mod stack_bounds;

pub(crate) use ask::{chase, walk};
pub(crate) use fault::{Freezer, freeze, hold};
pub use priority::RaisedPriority;
pub(crate) use sample::{begin, end, now};
pub(crate) use slots::{Inside, Marked, enter, look, mark};
pub(crate) use stack_bounds::{keep_stack, note_fiber};

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;

/// Whether this platform has the operations.
pub(crate) const SUPPORTED: bool = true;

/// The command of membarrier(2) that has every processor which runs this process pass a barrier.
const PRIVATE_EXPEDITED: libc::c_int = 1 << 3;
/// The command that a process says first that it will give the other.
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;

/// Installs the handlers and chooses the signal, once for the process. Wasmtime has installed its
/// own before, because there is an engine.
///
/// The signal is the first real-time one from `SIGRTMIN + 7` on that has no handler.
///
/// # Errors
///
/// What the system says to that, or that every such signal has a handler.
pub(crate) fn prepare() -> io::Result<()> {
    static DONE: OnceLock<Result<(), i32>> = OnceLock::new();
    let install = || {
        fault::install()?;
        ask::install()?;
        // Refused (seccomp, an old kernel): `barrier` says so each time.
        // SAFETY: a system call without memory.
        unsafe { libc::syscall(libc::SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0, 0) };
        Ok(())
    };
    DONE.get_or_init(|| {
        install().map_err(|error: io::Error| error.raw_os_error().unwrap_or(libc::EBUSY))
    })
    .map_err(io::Error::from_raw_os_error)
}

/// Unblocks our signal for the calling thread, and those of faults, which end the process if they
/// are blocked. A process may be started with all signals blocked.
pub(crate) fn prepare_thread() {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the set is initialised before it is used, and nothing else is written.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE] {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        if let Some(signal) = ask::signal() {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, set.as_ptr(), ptr::null_mut());
    }
}

/// Makes every processor that runs a thread of this process pass a full barrier. False if that is
/// refused. Then a word that is read may be some nanoseconds old, until the processor that wrote it
/// has drained its stores. So a thread that decides by a word looks again.
pub(crate) fn barrier() -> bool {
    // SAFETY: a system call without memory.
    unsafe { libc::syscall(libc::SYS_membarrier, PRIVATE_EXPEDITED, 0, 0) == 0 }
}
