//! SIGINT and SIGTERM end the program as a whole; SIGQUIT asks what it is doing.
//!
//! The first of the two ends the group, so that every thread leaves and what the
//! host holds is given back; a second one ends the process at once. SIGQUIT prints
//! every thread's state and backtrace, and the program goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use wasi_threads::GroupHandle;

use crate::message::exit::Exit;
use crate::message::{Message, Result, say};
use crate::report::calls::Calls;
use crate::sys::signals::{self, Asked};

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

/// Ends the group of `handle` on a signal, from now on.
pub(crate) fn watch(handle: GroupHandle, calls: Arc<Calls>) -> Result<Received> {
    let received = Received::default();
    let number = Arc::clone(&received.0);
    let asked = move |signal| match signal {
        Asked::Report => {
            let mut report = handle.report(PATIENCE);
            calls.complete(&mut report);
            say(report);
        }
        Asked::End(signal) => {
            let first = number
                .compare_exchange(0, signal, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
            if !first {
                std::process::exit(Exit::Signal(signal).status().into());
            }
            handle.cancel();
        }
    };
    signals::receive(asked)
        .map_err(|error| Message::failure("signals cannot be received").why(error))?;
    Ok(received)
}
