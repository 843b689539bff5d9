//! What this process was started with: signals that are ignored, and standard streams that are
//! closed. Rust's runtime changes some of this before `main`.
#![allow(unsafe_code)]

#[cfg(unix)]
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// The signals that matter here and that this process was started with ignored, a bit for each
/// number.
#[cfg(unix)]
static IGNORED: AtomicU64 = AtomicU64::new(0);

/// The standard streams that this process was started without, a bit for each number.
#[cfg(unix)]
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// The dynamic loader calls it before `main`. After that, Rust's runtime has ignored SIGPIPE, and
/// opened `/dev/null` for closed streams, so what was there before is lost.
#[cfg(unix)]
#[used]
// SAFETY: these sections hold pointers to functions that need not look at any parameter and return
// nothing. This function is one.
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
#[cfg_attr(
    target_vendor = "apple",
    unsafe(link_section = "__DATA,__mod_init_func")
)]
static BEFORE_MAIN: extern "C" fn() = before_main;

#[cfg(unix)]
extern "C" fn before_main() {
    let asking = super::signals::REPORTS.iter().copied();
    for signal in asking.chain([libc::SIGPIPE, libc::SIGINT, libc::SIGTERM]) {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: nothing is changed, and `action` is as large as what is written into it.
        let asked = unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) };
        // SAFETY: if it was not written, all zeroes are a `sigaction` as well.
        let action = unsafe { action.assume_init() };
        if asked == 0 && action.sa_sigaction == libc::SIG_IGN {
            IGNORED.fetch_or(1 << signal, Ordering::Relaxed);
        }
    }
    for stream in 0..3 {
        // SAFETY: the system checks the number, and changes nothing.
        if unsafe { libc::fcntl(stream, libc::F_GETFD) } < 0 {
            CLOSED.fetch_or(1 << stream, Ordering::Relaxed);
        }
    }
}

/// Whether writing to a pipe without a reader ends a program that this process runs. It does if it
/// would have ended this process.
#[cfg(unix)]
pub(crate) fn sigpipe_ends_program() -> bool {
    !was_ignored(libc::SIGPIPE)
}

/// Whether this process was started with `signal` ignored: SIGPIPE, SIGINT, SIGTERM, or one of
/// [`REPORTS`](super::signals::REPORTS).
#[cfg(unix)]
pub(super) fn was_ignored(signal: i32) -> bool {
    // The thread that became the main one wrote it, before `main`.
    IGNORED.load(Ordering::Relaxed) & (1 << signal) != 0
}

/// There is no such signal.
#[cfg(not(unix))]
pub(crate) fn sigpipe_ends_program() -> bool {
    false
}

/// Whether `number` is that of a standard stream that this process was started without. What is
/// there now swallows what is written.
#[cfg(unix)]
pub(crate) fn was_closed(number: i32) -> bool {
    (0..3).contains(&number) && CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}

/// It is not known.
#[cfg(not(unix))]
pub(crate) fn was_closed(_: i32) -> bool {
    false
}
