//! What this process was started with, and what Rust's runtime changes before `main`: SIGPIPE, and which standard streams
//! are closed.
#![allow(unsafe_code)]

#[cfg(unix)]
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// Whether this process was started with SIGPIPE ignored.
#[cfg(unix)]
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// The standard streams that this process was started without, a bit for each number.
#[cfg(unix)]
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The dynamic loader calls it before `main`: afterwards Rust's runtime has SIGPIPE ignored and `/dev/null` opened for
/// streams that are closed, in any case.
#[cfg(unix)]
#[used]
// SAFETY: these sections hold pointers to functions that take no parameters that they would have to
// look at and return nothing, as this one does.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
static BEFORE_MAIN: extern "C" fn() = before_main;

#[cfg(unix)]
extern "C" fn before_main() {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: nothing is changed, and `action` is as large as what is written into it.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    if asked == 0 {
        // SAFETY: it was written, and all zeroes are a `sigaction` as well.
        let action = unsafe { action.assume_init() };
        SIGPIPE_IGNORED.store(action.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
    }
    for stream in 0..3 {
        // SAFETY: the system checks the number, and changes nothing.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << stream, Ordering::Relaxed);
        }
    }
}

/// Whether writing to a pipe that nobody reads ends a program that this process runs, as it would end the process.
#[cfg(unix)]
pub(crate) fn sigpipe_ends_program() -> bool {
    // The same thread wrote it, before `main`.
    !SIGPIPE_IGNORED.load(Ordering::Relaxed)
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn sigpipe_ends_program() -> bool {
    false
}

/// Whether `number` is that of a standard stream that this process was started without. What is there now swallows what is
/// written.
#[cfg(unix)]
pub(crate) fn was_closed(number: i32) -> bool {
    (0..3).contains(&number) && CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}

/// Nobody knows.
#[cfg(not(unix))]
pub(crate) fn was_closed(_: i32) -> bool {
    false
}
