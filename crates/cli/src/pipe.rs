//! A write to a pipe that nobody reads any more ends the program, as SIGPIPE ends other tools: status 141.
//!
//! The signal itself would end this process, and with it what is still to be said: figures, a trace, a message. So it
//! is only noted, by a handler that runs on the thread that writes, before the write returns; the call's
//! observer, on the same thread, then ends the group before the guest sees the error.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use p1_adapter::{CallObserver, CallOutcome};
use wasi_threads::GroupHandle;

use crate::message::{Message, Result};
use crate::signals::Received;

/// Whether a write has met a pipe without a reader. Sockets raise no signal.
static BROKEN: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// `pipe` of preview1's `errno`.
const EPIPE: u16 = 64;

/// SIGPIPE's number.
const SIGPIPE: u8 = 13;

/// From now on, a broken pipe is an error for who writes, and no end of this process.
pub(crate) fn note() -> Result<()> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::clone(&BROKEN))
        .map_err(|error| Message::failure("signals cannot be received").why(error))?;
    Ok(())
}

/// The group that a broken pipe ends, once there is one.
#[derive(Default)]
pub(crate) struct Ends(OnceLock<(GroupHandle, Received)>);

impl Ends {
    /// It is this one, and `received` is where the signal is noted.
    pub(crate) fn group(&self, handle: GroupHandle, received: Received) {
        // There is one group.
        let _ = self.0.set((handle, received));
    }
}

/// Ends the group when a call meets a broken pipe; and lets another observer see all calls.
pub(crate) struct Observer<O> {
    pub(crate) inner: Arc<O>,
    pub(crate) ends: Arc<Ends>,
}

impl<O: CallObserver> CallObserver for Observer<O> {
    fn started(&self, function: &'static str) -> u64 {
        self.inner.started(function)
    }

    fn ended(&self, function: &'static str, token: u64, outcome: CallOutcome<'_>) {
        if let CallOutcome::Returned(EPIPE) = outcome
            && BROKEN.load(Ordering::SeqCst)
            && let Some((handle, received)) = self.ends.0.get()
        {
            received.first(SIGPIPE);
            handle.cancel();
        }
        self.inner.ended(function, token, outcome);
    }
}
