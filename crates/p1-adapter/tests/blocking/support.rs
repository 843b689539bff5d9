//! Objects to block on, and bounds for everything that might hang.

use crate::guest::emulated::{less, slower};
use crate::guest::waiting_calls::{is_lock, waits_outside};
use rustix::fd::OwnedFd;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
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
    let look = || -> Vec<_> { tids.iter().map(|tid| tid.sleep()).collect() };
    let start = Instant::now();
    while !ended() && start.elapsed() < PATIENCE {
        let seen = look();
        let in_locks = seen
            .iter()
            .any(|sleep| matches!(sleep, Some(Sleep::Lock(_))));
        if seen.contains(&None) {
            thread::sleep(Duration::from_micros(100));
        } else if !in_locks {
            return;
        } else {
            thread::sleep(Duration::from_millis(2));
            if look() == seen {
                return;
            }
        }
    }
}

/// A thread of this process, as the system knows it.
#[derive(Clone, Copy)]
pub(crate) struct Tid(i32);

impl Tid {
    /// The calling thread.
    pub(crate) fn mine() -> Self {
        Tid(rustix::thread::gettid().as_raw_nonzero().get())
    }

    /// What it sleeps in, if it does.
    fn sleep(self) -> Option<Sleep> {
        match self.call()? {
            call if is_lock(call) => Some(Sleep::Lock(self.switches()?)),
            call if waits_outside(call) => Some(Sleep::Call),
            _ => None,
        }
    }

    /// The system call it sleeps in.
    fn call(self) -> Option<libc::c_long> {
        let call = std::fs::read_to_string(format!("/proc/self/task/{}/syscall", self.0)).ok()?;
        call.split(' ').next()?.parse().ok()
    }

    /// How often it went to sleep.
    fn switches(self) -> Option<String> {
        let status = std::fs::read_to_string(format!("/proc/self/task/{}/status", self.0)).ok()?;
        let mut lines = status.lines();
        lines
            .find(|line| line.starts_with("voluntary_ctxt_switches"))
            .map(str::to_owned)
    }
}

/// How a thread sleeps.
#[derive(PartialEq)]
enum Sleep {
    /// In a system call that waits for something to happen outside.
    Call,
    /// In a lock, after it went to sleep this many times. It may go on at once, so this counts only
    /// if it stays so.
    Lock(String),
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

/// Read end, write end.
pub(crate) fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
}

/// Master, terminal.
pub(crate) fn pty() -> (OwnedFd, OwnedFd) {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let terminal = ioctl_tiocgptpeer(&master, flags).unwrap();
    (master, terminal)
}

/// Two ends of a stream socket.
pub(crate) fn sockets() -> (OwnedFd, OwnedFd) {
    let (a, b) = std::os::unix::net::UnixStream::pair().unwrap();
    (a.into(), b.into())
}

/// Two ends of a TCP connection over loopback.
pub(crate) fn tcp() -> (OwnedFd, OwnedFd) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let a = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (b, _) = listener.accept().unwrap();
    (a.into(), b.into())
}

/// A FIFO in a directory of its own.
pub(crate) fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::from_raw_mode(0o600),
    )
    .unwrap();
    (dir, path)
}
