//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use wasi_threads::GroupHandle;

use crate::message::exit::Exit;
use crate::message::{Message, Result, say};
use crate::report::calls::Calls;
use crate::run::DESCRIBED;

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

/// Ends the group of `handle` on a signal, from now on; a second one ends the process in its handler, whatever any thread is
/// doing: the message about the first end may be blocked in writing to a full pipe.
///
/// A signal that this process was started with ignored, as shells do for jobs in
/// the background, stays ignored. One that was blocked is not: the thread that takes them lets it through.
#[cfg(unix)]
pub(crate) fn watch(handle: GroupHandle, calls: Arc<Calls>) -> Result<Received> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;
    use std::sync::atomic::AtomicBool;
    use std::sync::mpsc;

    let cannot = |error| Message::failure("signals cannot be received").why(error);
    let received = Received::default();
    let wanted = [SIGINT, SIGTERM, SIGQUIT];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    let told = Arc::new(AtomicBool::new(false));
    for signal in wanted.iter().copied().filter(|signal| *signal != SIGQUIT) {
        // Both are below 32.
        let number = u8::try_from(signal).unwrap_or(u8::MAX);
        let status = Exit::Signal(number).status().into();
        // In this order: the first one only sets the flag.
        flag::register_conditional_shutdown(signal, status, Arc::clone(&told)).map_err(cannot)?;
        flag::register(signal, Arc::clone(&told)).map_err(cannot)?;
    }
    let mut signals = Signals::new(&wanted).map_err(cannot)?;
    // Reports are written by a thread of their own: stderr may be full, and an end must not wait for it. One that waits
    // to be written is enough.
    let (ask, asked) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("reports".into())
        .spawn({
            let handle = handle.clone();
            move || {
                while let Ok(()) = asked.recv() {
                    let mut report = handle.report_of(DESCRIBED, PATIENCE);
                    calls.complete(&mut report);
                    say(report);
                }
            }
        })
        .map_err(cannot)?;
    let number = Arc::clone(&received.0);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            crate::sys::mask::unblock(&wanted);
            for signal in signals.forever() {
                if signal == SIGQUIT {
                    // If one is asked for already, that is the answer.
                    let _ = ask.try_send(());
                    continue;
                }
                let signal = u8::try_from(signal).unwrap_or(u8::MAX);
                let _ = number.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
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
