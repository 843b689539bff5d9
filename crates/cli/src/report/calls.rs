//! Which call of WASI each thread is in, for reports and for threads that are left behind.
//!
//! Noted for the functions that may wait, and for these alone: two stores a call, without a clock or a lock. The
//! group keeps it (`wasi_threads::note_host_call`); this says what is noted, and under which names.

use p1_adapter::{CallObserver, CallOutcome};
use wasi_threads::note_host_call;

/// The functions that may wait. What is noted of one is its place in here, from 1 on.
pub(crate) const WAITING: &[&str] = &[
    "fd_read",
    "fd_write",
    "poll_oneoff",
    "sock_accept",
    "sock_recv",
    "sock_send",
];

/// Notes which of the calls in [`WAITING`] the calling thread is in.
#[derive(Debug)]
pub(crate) struct Noting;

impl CallObserver for Noting {
    fn started(&self, function: &'static str) -> u64 {
        let place = WAITING.iter().position(|name| *name == function);
        // Fewer than 65,536 of them.
        note_host_call(place.map_or(0, |place| place as u16 + 1)).into()
    }

    fn ended(&self, _: &'static str, before: u64, _: CallOutcome<'_>) {
        note_host_call(before as u16);
    }
}
