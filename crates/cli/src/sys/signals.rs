//! Signals that ask something of the program.

use std::io;

#[cfg(unix)]
use crate::sys::at_start;

/// What a signal asks for.
#[cfg_attr(not(unix), expect(dead_code, reason = "no signals here"))]
pub(crate) enum Asked {
    /// What the program is doing: SIGQUIT.
    Report,
    /// The end: SIGINT or SIGTERM, by its number.
    End(u8),
}

/// Tells `asked` of each signal from now on, on a thread of its own. After the first that asks for the end, another one ends the
/// process in its handler, with the status that `status` says, whatever any thread is doing: what is said about the first
/// end may be blocked in writing to a full pipe.
///
/// A signal that this process was started with ignored, as shells do for jobs in
/// the background, stays ignored. One that was blocked is not: that thread lets it through.
#[cfg(unix)]
pub(crate) fn receive(
    status: fn(u8) -> u8,
    asked: impl Fn(Asked) + Send + 'static,
) -> io::Result<()> {
    use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    let wanted = [SIGINT, SIGTERM, SIGQUIT];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter(|signal| !at_start::was_ignored(*signal))
        .collect();
    let told = Arc::new(AtomicBool::new(false));
    for signal in wanted.iter().filter(|signal| **signal != SIGQUIT) {
        let number = u8::try_from(*signal).unwrap_or(u8::MAX);
        // In this order: the first signal only sets the flag.
        flag::register_conditional_shutdown(*signal, status(number).into(), Arc::clone(&told))?;
        flag::register(*signal, Arc::clone(&told))?;
    }
    let mut signals = Signals::new(&wanted)?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            super::own_thread::unblock(&wanted);
            super::own_thread::hurry();
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
pub(crate) fn receive(_: fn(u8) -> u8, _: impl Fn(Asked) + Send + 'static) -> io::Result<()> {
    Ok(())
}
