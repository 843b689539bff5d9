//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

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

/// How long a thread may take to say what it does; one that computes or waits needs
/// a fraction of it, one in a system call says nothing.
const PATIENCE: Duration = Duration::from_millis(200);

/// Which signal ended the program, if one did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    number: Arc<AtomicU8>,
    /// Whether a signal ends the process at once.
    at_once: Arc<AtomicBool>,
}

impl Received {
    /// The signal's number. The program has ended: from now on the first signal ends the process, whatever is still to be said.
    pub(crate) fn when_ended(&self) -> Option<u8> {
        self.at_once.store(true, Ordering::SeqCst);
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
/// That of a system which refuses a thread.
pub(crate) fn thread(held: Held) -> io::Result<SignalThread> {
    SignalThread::start(held)
}

/// Ends the group of `handle` on a signal, from now on; a second one ends the process.
///
/// Reports are written by a thread of their own: stderr may be full, and an end does not wait for that. Where one is
/// asked for already, a SIGQUIT more is the same.
///
/// # Errors
///
/// That of a system which refuses a thread, or descriptors: then a signal does what it does to every process.
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
