//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use wasi_threads::GroupHandle;

use crate::message::{Message, Result, say};
use crate::report::calls::Calls;

/// How long a thread may take to say what it does; one that computes or waits needs
/// a fraction of it, one in a system call says nothing.
#[cfg(unix)]
const PATIENCE: std::time::Duration = std::time::Duration::from_millis(200);

/// Which signal ended the program, if one did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received(Arc<AtomicU8>);

impl Received {
    /// The signal's number.
    pub(crate) fn get(&self) -> Option<u8> {
        match self.0.load(Ordering::Acquire) {
            0 => None,
            number => Some(number),
        }
    }
}

/// Ends the group of `handle` on a signal, from now on.
///
/// A signal that this process was started with ignored, as shells do for jobs in
/// the background, stays ignored.
#[cfg(unix)]
pub(crate) fn watch(handle: GroupHandle, calls: Arc<Calls>) -> Result<Received> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;

    let cannot = |error| Message::failure("signals cannot be received").why(error);
    let received = Received::default();
    let wanted = [SIGINT, SIGTERM, SIGQUIT];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    let mut signals = Signals::new(wanted).map_err(cannot)?;
    let number = Arc::clone(&received.0);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                if signal == SIGQUIT {
                    let mut report = handle.report(PATIENCE);
                    calls.complete(&mut report);
                    say(report);
                    continue;
                }
                // Both are below 32.
                let signal = u8::try_from(signal).unwrap_or(u8::MAX);
                let first = number
                    .compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok();
                if !first {
                    std::process::exit(crate::message::exit::Exit::Signal(signal).status().into());
                }
                handle.cancel();
            }
        })
        .map_err(cannot)?;
    Ok(received)
}

/// No signals here: the system's own way to end a process applies.
#[cfg(not(unix))]
pub(crate) fn watch(_: GroupHandle, _: Arc<Calls>) -> Result<Received> {
    Ok(Received::default())
}

/// Whether this process was started with `signal` ignored. Only Linux says so
/// without changing it; elsewhere nothing is taken to be ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    // proc(5): SigIgn is a mask in hexadecimal, bit 0 for signal 1.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
