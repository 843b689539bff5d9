//! Signals that ask something of the program.

use std::io;

#[cfg(unix)]
use crate::sys::process;

/// What a signal asks for.
#[cfg_attr(not(unix), expect(dead_code, reason = "no signals here"))]
pub(crate) enum Asked {
    /// What the program is doing: SIGQUIT.
    Report,
    /// The end: SIGINT or SIGTERM, by its number.
    End(u8),
}

/// Tells `asked` of each signal from now on, on a thread of its own.
///
/// A signal that this process was started with ignored, as shells do for jobs in
/// the background, stays ignored.
#[cfg(unix)]
pub(crate) fn receive(asked: impl Fn(Asked) + Send + 'static) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::iterator::Signals;

    let wanted = [SIGINT, SIGTERM, SIGQUIT];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter(|signal| !is_ignored(*signal))
        .collect();
    let mut signals = Signals::new(wanted)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                asked(match signal {
                    SIGQUIT => Asked::Report,
                    // Both are below 32.
                    signal => Asked::End(u8::try_from(signal).unwrap_or(u8::MAX)),
                });
            }
        })?;
    Ok(())
}

/// No signals here: the system's own way to end a process applies.
#[cfg(not(unix))]
pub(crate) fn receive(_: impl Fn(Asked) + Send + 'static) -> io::Result<()> {
    Ok(())
}

/// Whether this process was started with `signal` ignored. Only Linux says so
/// without changing it; elsewhere nothing is taken to be ignored.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    // A mask in hexadecimal, bit 0 for signal 1.
    process::status("SigIgn:")
        .and_then(|mask| u64::from_str_radix(&mask, 16).ok())
        .is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
}
