//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use wasi_threads::GroupHandle;

use crate::message::exit::Exit;
use crate::message::{Message, Result, say};
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
pub(crate) fn thread() -> Result<SignalThread> {
    SignalThread::start().map_err(cannot)
}

fn cannot(error: std::io::Error) -> Message {
    Message::failure("signals cannot be received").why(error)
}

/// Ends the group of `handle` on a signal, from now on; a second one ends the process.
///
/// Reports are written by a thread of their own: stderr may be full, and an end does not wait for that. Where one is
/// asked for already, a SIGQUIT more is the same.
pub(crate) fn watch(
    thread: SignalThread,
    handle: GroupHandle,
    backtraces: Arc<Backtraces>,
) -> Result<Received> {
    let received = Received::default();
    let (ask, wanted) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name("reports".into())
        .spawn({
            let handle = handle.clone();
            move || {
                while let Ok(()) = wanted.recv() {
                    say(backtraces.on_demand(&handle.report_of(DESCRIBED, PATIENCE)));
                }
            }
        })
        .map_err(cannot)?;
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
    thread
        .receive(|number| Exit::Signal(number).status(), asked)
        .map_err(cannot)?;
    Ok(received)
}
