//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use wasi_threads::GroupHandle;

use crate::message::exit::Exit;
use crate::message::say;
use crate::report::backtraces::Backtraces;
use crate::run::group::DESCRIBED;
use crate::sys::signals::{Asked, SignalThread};

/// How long a thread may take to say what it does; one that computes or waits needs
/// a fraction of it, one in a system call says nothing.
const PATIENCE: Duration = Duration::from_millis(200);

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

/// Starts the thread that takes signals, before any other thread is started.
///
/// # Errors
///
/// That of a system which refuses a thread.
pub(crate) fn thread() -> io::Result<SignalThread> {
    SignalThread::start()
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
    let received = Received::default();
    let (ask, wanted) = mpsc::sync_channel(1);
    std::thread::Builder::new().name("reports".into()).spawn({
        let handle = handle.clone();
        move || {
            while let Ok(()) = wanted.recv() {
                say(backtraces.report(&handle.report_of(DESCRIBED, PATIENCE)));
            }
        }
    })?;
    let number = Arc::clone(&received.0);
    let asked = move |signal| match signal {
        Asked::Report => {
            let _ = ask.try_send(());
        }
        Asked::End(signal) => {
            let _ = number.compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire);
            handle.cancel();
        }
    };
    thread.receive(|number| Exit::Signal(number).status(), asked)?;
    Ok(received)
}
