//! Objects to block on, and bounds for everything that might hang.

use crate::guest::emulated::{less, slower};
use crate::sys::sleeping;
pub(crate) use crate::sys::sleeping::Tid;
#[cfg(unix)]
pub(crate) use crate::sys::{fifo, pty};
pub(crate) use crate::sys::{pipe, ptys, sockets, tcp};
use std::sync::mpsc;
use std::thread::{self, JoinHandle, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// How late a call may end after the signal: some seconds, for many threads on a loaded machine, or
/// what `P1_BOUND_MS` says. (The aim is 10, on a machine that does nothing else.) What was seen is
/// printed.
pub(crate) fn bound() -> Duration {
    let asked = std::env::var("P1_BOUND_MS").ok();
    let usual = less(5000, 60_000);
    let milliseconds = asked.map_or(usual, |text| text.parse().expect("P1_BOUND_MS is a number"));
    Duration::from_millis(milliseconds)
}

/// How long to wait for a thread that should make progress, before it counts as held up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The same where it is known to be held up.
pub(crate) const IMPATIENCE: Duration = Duration::from_millis(200);

/// How many threads.
pub(crate) const CROWDS: [usize; 3] = [2, 4, 16];

/// Long enough for what has no state to wait for.
pub(crate) const SETTLE: Duration = Duration::from_millis(30);

/// Starts a thread and comes back when it sleeps, or has ended.
pub(crate) fn blocked<R: Send + 'static>(
    run: impl FnOnce() -> R + Send + 'static,
) -> JoinHandle<R> {
    all_blocked([run]).pop().unwrap()
}

/// As [`blocked`], for several.
pub(crate) fn all_blocked<R: Send + 'static>(
    all: impl IntoIterator<Item = impl FnOnce() -> R + Send + 'static>,
) -> Vec<JoinHandle<R>> {
    let (said, tids) = mpsc::channel();
    let threads: Vec<_> = all
        .into_iter()
        .map(|run| {
            let said = said.clone();
            thread::spawn(move || {
                said.send(Tid::mine()).unwrap();
                run()
            })
        })
        .collect();
    settle(&tids, threads.len(), || {
        threads.iter().any(JoinHandle::is_finished)
    });
    threads
}

/// As [`all_blocked`], in a scope.
pub(crate) fn all_blocked_in<'s, R: Send + 's>(
    scope: &'s Scope<'s, '_>,
    all: impl IntoIterator<Item = impl FnOnce() -> R + Send + 's>,
) -> Vec<ScopedJoinHandle<'s, R>> {
    let (said, tids) = mpsc::channel();
    let threads: Vec<_> = all
        .into_iter()
        .map(|run| {
            let said = said.clone();
            scope.spawn(move || {
                said.send(Tid::mine()).unwrap();
                run()
            })
        })
        .collect();
    settle(&tids, threads.len(), || {
        threads.iter().any(ScopedJoinHandle::is_finished)
    });
    threads
}

/// Waits until all threads that have told their id sleep, or one has ended. One that does neither
/// shows in what it returns.
pub(crate) fn settle(tids: &mpsc::Receiver<Tid>, count: usize, ended: impl Fn() -> bool) {
    let tids: Vec<_> = tids.iter().take(count).collect();
    sleeping::settle(&tids, PATIENCE, ended);
}

/// What a check says: nothing, or what went wrong.
pub(crate) type Check = Result<(), String>;

/// Runs `body` on its own thread and panics if it takes longer than `limit`.
pub(crate) fn bounded<T: Send + 'static>(
    limit: Duration,
    body: impl FnOnce() -> T + Send + 'static,
) -> T {
    let (done, result) = mpsc::channel();
    let runner = thread::spawn(move || {
        let _ = done.send(body());
    });
    match result.recv_timeout(limit) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("still running after {limit:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match runner.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the runner sends before it returns"),
        },
    }
}

/// Like [`bounded`] with a limit no healthy test comes near.
pub(crate) fn soon<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    bounded(slower(Duration::from_secs(120 + 2 * rounds(1))), body)
}

/// How often to repeat what may go wrong only now and then: `least`, or more with `P1_ROUNDS`.
pub(crate) fn rounds(least: u64) -> u64 {
    let asked = std::env::var("P1_ROUNDS").ok();
    let asked = asked.map_or(0, |text| text.parse().expect("P1_ROUNDS is a number"));
    least.max(asked)
}

/// Waits for `condition`, as long as a healthy test could need.
pub(crate) fn eventually(condition: impl FnMut() -> bool) -> bool {
    within(PATIENCE, condition)
}

/// Waits for `condition`, at most `limit`.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_micros(200));
    }
    true
}
