//! SIGINT and SIGTERM end the whole program; SIGQUIT asks what it is doing.
//!
//! The first SIGINT or SIGTERM ends the group, so that every thread leaves and the host gives
//! everything back. A second one ends the process at once. SIGQUIT prints every thread's state and
//! backtrace, and the program goes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use wasi_threads::GroupHandle;

use crate::message::exit::Exit;
use crate::message::say;
use crate::report::backtraces::Backtraces;
use crate::run::group::DESCRIBED;
use crate::sys::signals::{Asked, Held, SignalThread};

/// How long a thread may take to say what it does. One that computes or waits needs a fraction of
/// that; one in a system call does not answer.
const PATIENCE: Duration = Duration::from_millis(200);

/// Which signal ended the program, if one did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    number: Arc<AtomicU8>,
    /// Whether a signal ends the process at once.
    at_once: Arc<AtomicBool>,
}

impl Received {
    /// The signal's number, after the end of the program. From now on the first signal ends the
    /// process, even if something is still to be printed.
    pub(crate) fn when_ended(&self) -> Option<u8> {
        self.at_once.store(true, Ordering::SeqCst);
        self.get()
    }

    /// The signal's number.
    pub(crate) fn get(&self) -> Option<u8> {
        match self.number.load(Ordering::Acquire) {
            0 => None,
            number => Some(number),
        }
    }
}

/// Starts the thread that takes signals.
///
/// # Errors
///
/// The system's error, if it refuses a thread.
pub(crate) fn thread(held: Held) -> io::Result<SignalThread> {
    SignalThread::start(held)
}

/// From now on, ends the group of `handle` on a signal, and the process on a second one.
///
/// A thread of its own writes reports, because stderr may block, and an end must not wait for that.
/// A SIGQUIT while a report is pending asks for the same one.
///
/// # Errors
///
/// The system's error, if it refuses a thread or descriptors. Then signals have their default
/// effect.
pub(crate) fn watch(
    thread: SignalThread,
    handle: GroupHandle,
    backtraces: Arc<Backtraces>,
) -> io::Result<Received> {
    let number = Arc::new(AtomicU8::new(0));
    let (ask, wanted) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("reports".into()).spawn({
        let handle = handle.clone();
        move || {
            while let Ok(()) = wanted.recv() {
                say(backtraces.on_demand(&handle.report_of(DESCRIBED, PATIENCE)));
            }
        }
    })?;
    let ended_by = Arc::clone(&number);
    let asked = move |signal| match signal {
        Asked::Report => {
            let _ = ask.try_send(());
        }
        Asked::End(signal) => {
            let _ = ended_by.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
            handle.cancel();
        }
    };
    let at_once = thread.receive(|number| Exit::Signal(number).status(), asked)?;
    Ok(Received { number, at_once })
}
