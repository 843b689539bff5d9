//! Which call of WASI each thread is in, for SIGQUIT and for threads that are left behind.
//!
//! Kept for the functions that may wait, and for these alone: two stores a call, without a clock or a lock.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use p1_adapter::{CallObserver, CallOutcome};
use wasi_threads::{LeftBehind, Report, ThreadId, ThreadState};

/// The functions that may wait. A thread's state is a place in here, from 1 on.
const WAITING: [&str; 6] = [
    "fd_read",
    "fd_write",
    "poll_oneoff",
    "sock_accept",
    "sock_recv",
    "sock_send",
];

/// The calls that threads are in.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<HashMap<ThreadId, Arc<AtomicU8>>>);

thread_local! {
    /// That of the guest thread this host thread runs.
    static CALL: Arc<AtomicU8> = Arc::default();
}

impl Calls {
    /// The thread's life begins, on the calling host thread.
    pub(crate) fn enter(&self, thread: ThreadId) {
        self.lock().insert(thread, CALL.with(Arc::clone));
    }

    /// The thread's life has ended.
    pub(crate) fn leave(&self, thread: ThreadId) {
        self.lock().remove(&thread);
    }

    /// Names the calls in `report`.
    pub(crate) fn complete(&self, report: &mut Report) {
        for one in &mut report.threads {
            if let ThreadState::HostCall { name, .. } = &mut one.state {
                *name = name.or_else(|| self.of(one.thread));
            }
        }
    }

    /// The call that a thread that was left behind is in.
    pub(crate) fn of_left(&self, left: &LeftBehind) -> Option<&'static str> {
        left.host_call.or_else(|| self.of(left.thread))
    }

    fn of(&self, thread: ThreadId) -> Option<&'static str> {
        let state = self.lock().get(&thread)?.load(Relaxed);
        WAITING.get(usize::from(state).checked_sub(1)?).copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ThreadId, Arc<AtomicU8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes what the calling thread is in.
#[derive(Debug)]
pub(crate) struct Noting;

impl CallObserver for Noting {
    fn started(&self, function: &'static str) -> u64 {
        let place = WAITING.iter().position(|name| *name == function);
        // Fewer than 256 of them.
        let state = place.map_or(0, |place| place as u8 + 1);
        CALL.with(|call| call.store(state, Relaxed));
        0
    }

    fn ended(&self, _: &'static str, _: u64, _: CallOutcome<'_>) {
        CALL.with(|call| call.store(0, Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_another_thread() {
        let calls = Calls::default();
        let (entered, asked) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                calls.enter(ThreadId::MAIN);
                Noting.started("sock_accept");
                entered.wait();
                asked.wait();
                Noting.ended("sock_accept", 0, CallOutcome::Returned(0));
                asked.wait();
                asked.wait();
                calls.leave(ThreadId::MAIN);
            });
            entered.wait();
            assert_eq!(calls.of(ThreadId::MAIN), Some("sock_accept"));
            asked.wait();
            asked.wait();
            assert_eq!(calls.of(ThreadId::MAIN), None);
            asked.wait();
        });
        assert_eq!(calls.of(ThreadId::MAIN), None);
    }
}
