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

/// The place in [`WAITING`], from 1 on; 0 for what is not in it. A `match` compares lengths first, and so one name at most.
fn number(function: &str) -> u16 {
    match function {
        "fd_read" => 1,
        "fd_write" => 2,
        "poll_oneoff" => 3,
        "sock_accept" => 4,
        "sock_recv" => 5,
        "sock_send" => 6,
        _ => 0,
    }
}

impl CallObserver for Noting {
    fn started(&self, function: &'static str) -> u64 {
        note_host_call(number(function)).into()
    }

    fn ended(&self, _: &'static str, before: u64, _: CallOutcome<'_>) {
        note_host_call(before as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_places_in_the_list() {
        for (index, name) in WAITING.iter().enumerate() {
            assert_eq!(usize::from(number(name)), index + 1);
        }
        assert_eq!(number("clock_time_get"), 0);
    }
}
