//! One wait, in one `poll(2)`.

use super::deadline::Deadline;
use super::embedder::Ready;
use super::end::{BlockingError, EndSignal, Interrupted};
use crate::sys::errno::Errno;
use crate::sys::fd::{AsFd, AsRawFd as _, BorrowedFd};
use crate::sys::poll::{PollFd, PollFlags, poll};
use crate::sys::socket::RECEIVING_SHUT;
use crate::sys::time::{ClockId, now, realtime_timer, timespec};
use crate::sys::wake_fd::WakeFd;
use smallvec::SmallVec;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

/// What a wait waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// A read, or an accept, that would not block.
    Read,
    /// A write that would not block.
    Write,
}

/// What a wait found on one descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// The call would not block: there is something to transfer, the end, or an error.
    pub ready: bool,
    /// The other end has gone (`POLLHUP`), or, for [`Direction::Write`], will take no more
    /// (`POLLERR` on a pipe).
    pub hangup: bool,
    /// For [`Direction::Read`]: the receiving side of a socket is shut, so nothing more comes. A
    /// datagram socket then says that it is ready, and has nothing.
    pub shut: bool,
}

/// One descriptor in a wait, and afterwards what was found.
#[derive(Clone, Copy, Debug)]
pub struct Interest<'fd> {
    fd: BorrowedFd<'fd>,
    direction: Direction,
    found: Readiness,
}

impl<'fd> Interest<'fd> {
    /// Waits for `fd` to be ready for `direction`.
    pub fn new(fd: BorrowedFd<'fd>, direction: Direction) -> Self {
        Interest {
            fd,
            direction,
            found: Readiness::default(),
        }
    }

    /// What the last [`wait`] found.
    pub fn found(&self) -> Readiness {
        self.found
    }

    pub(super) fn parts(&self) -> (BorrowedFd<'fd>, Direction) {
        (self.fd, self.direction)
    }

    fn events(&self) -> PollFlags {
        match self.direction {
            Direction::Read => PollFlags::IN | RECEIVING_SHUT,
            Direction::Write => PollFlags::OUT,
        }
    }

    fn take(&mut self, found: PollFlags) {
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        self.found = Readiness {
            ready: found.intersects(self.events() | gone),
            hangup: match self.direction {
                Direction::Read => found.contains(PollFlags::HUP),
                Direction::Write => found.intersects(PollFlags::HUP | PollFlags::ERR),
            },
            shut: self.direction == Direction::Read && found.intersects(RECEIVING_SHUT),
        };
    }
}

/// How often a wait looks if the process has no descriptor left to wake it.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until one of `interests` is ready, `deadline` has passed or `end` is raised; returns how
/// many are ready, 0 if the deadline came first. With no interests it is a sleep.
///
/// The calling thread first looks whether something is ready already: that costs half as much as a
/// wait that finds something at once, as nothing is registered with what is looked at (100 sockets:
/// 6 and 14 us). Then it sleeps in one `ppoll(2)`. A signal delivered to it restarts the wait with
/// the same deadline. A wait that finds both a ready descriptor and a raised signal has ended.
///
/// Where the process had no descriptor left for the signal, a wait without `interests` sleeps
/// without one, and another looks at the signal every 20 ms.
///
/// # Errors
///
/// [`BlockingError::Interrupted`] if `end` is raised, [`BlockingError::Io`] if `poll` fails;
/// [`BlockingError::Hook`] where `end` is that of a context with clocks of the embedder's, and
/// these end the wait.
pub fn wait(
    interests: &mut [Interest<'_>],
    deadline: &Deadline,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    let is_look = *deadline == Deadline::NOW;
    if (is_look || end.rounds().is_none()) && !interests.is_empty() {
        end.check()?;
        let looked = look(interests);
        end.check()?;
        match looked {
            Ok(0) if !is_look => {}
            Ok(ready) => return Ok(ready),
            // More than `poll` takes.
            Err(Errno::INVAL) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    wait_for_unready(interests, deadline, end)
}

/// As [`wait`], for what has just been found not to be ready.
pub(super) fn wait_for_unready(
    interests: &mut [Interest<'_>],
    deadline: &Deadline,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    match end.rounds() {
        // A caller that has a deadline makes the rounds itself.
        Some(rounds) if *deadline == Deadline::NEVER => rounds.wait(interests, end),
        _ => wait_in_place(interests, deadline, end),
    }
}

/// As [`wait`], always in the kernel.
pub(super) fn wait_in_place(
    interests: &mut [Interest<'_>],
    deadline: &Deadline,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    match wait_as_listed(interests, deadline, end) {
        // `poll(2)` takes as many entries as a process may have descriptors. So all open
        // descriptors always fit (with the two of a wait itself) if each is there once.
        Err(BlockingError::Io(error)) if Errno::from_io_error(&error) == Some(Errno::INVAL) => {
            let mut sorted: Vec<_> = interests.iter_mut().collect();
            sorted.sort_by_key(|interest| interest.fd.as_raw_fd());
            let mut copies: Vec<_> = sorted.iter().map(|interest| **interest).collect();
            let ready = wait_as_listed(&mut copies, deadline, end)?;
            for (interest, copy) in sorted.into_iter().zip(copies) {
                interest.found = copy.found;
            }
            Ok(ready)
        }
        waited => waited,
    }
}

/// As [`wait_in_place`], in the order of `interests`.
fn wait_as_listed(
    interests: &mut [Interest<'_>],
    deadline: &Deadline,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    let ended = end.descriptor()?;
    let mut limit = *deadline;
    // A timer keeps to the clock when that is set. Without one (no descriptors left, another
    // system) the remaining time is taken now.
    let timer = match deadline.realtime() {
        Some(at) if now(ClockId::Realtime) >= at => {
            limit = Deadline::NOW;
            None
        }
        Some(at) => {
            let timer = realtime_timer(at).ok();
            if timer.is_none() {
                let left = at.saturating_sub(now(ClockId::Realtime));
                limit = limit.or(Deadline::after_nanos(left));
            }
            timer
        }
        None => None,
    };

    let mut fds = entries(interests);
    if let Some(timer) = &timer {
        fds.push(PollFd::from_borrowed_fd(timer.as_fd(), PollFlags::IN));
    }
    let at = fds.len();
    match ended {
        Some(ended) => fds.push(PollFd::from_borrowed_fd(ended, PollFlags::IN)),
        None if fds.is_empty() => {
            end.sleep(&limit)?;
            return Ok(0);
        }
        None => {}
    }

    loop {
        let until = match ended {
            Some(_) => limit,
            None => limit.or(Deadline::after(LOOK_EVERY)),
        };
        match poll(&mut fds, until.monotonic_left().as_ref()) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) if ended.is_none() && !limit.monotonic_passed() => {}
            Ok(_) => break,
        }
        end.check()?;
    }

    if ended.is_none() {
        end.check()?;
    } else if !fds[at].revents().is_empty() {
        return Err(Interrupted.into());
    }
    Ok(take(interests, &fds))
}

/// What `poll(2)` is given, and what it has found. A few are kept in place.
type PollFds<'fd> = SmallVec<[PollFd<'fd>; 8]>;

fn is_same(a: &Interest<'_>, b: &Interest<'_>) -> bool {
    a.fd.as_raw_fd() == b.fd.as_raw_fd()
}

/// What several interests in one descriptor wait for.
fn events_of(same: &[Interest<'_>]) -> PollFlags {
    let events = same.iter().map(Interest::events);
    events.fold(PollFlags::empty(), PollFlags::union)
}

/// An entry for each interest, and one for all in a row that are in the same descriptor: C
/// libraries ask for both directions so.
fn entries<'fd>(interests: &[Interest<'fd>]) -> PollFds<'fd> {
    let mut fds = PollFds::with_capacity(interests.len() + 2);
    let rows = interests.chunk_by(is_same);
    fds.extend(rows.map(|same| PollFd::from_borrowed_fd(same[0].fd, events_of(same))));
    fds
}

/// Takes what was found over; how many interests are ready.
fn take(interests: &mut [Interest<'_>], fds: &[PollFd<'_>]) -> usize {
    let mut ready = 0;
    for (same, fd) in interests.chunk_by_mut(is_same).zip(fds) {
        for interest in same {
            interest.take(fd.revents());
            ready += usize::from(interest.found.ready);
        }
    }
    ready
}

/// How many of `interests` are ready now. Does not wait and needs no signal.
fn look(interests: &mut [Interest<'_>]) -> Result<usize, Errno> {
    let mut fds = entries(interests);
    let zero = timespec(0);
    loop {
        match poll(&mut fds, Some(&zero)) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => break,
        }
    }
    Ok(take(interests, &fds))
}

/// Whether `fd` is ready now. Does not wait and needs no signal.
pub(super) fn is_ready(fd: BorrowedFd<'_>, direction: Direction) -> Result<Readiness, Errno> {
    let mut interest = [Interest::new(fd, direction)];
    look(&mut interest)?;
    Ok(interest[0].found)
}

/// The descriptors of `interests`, each once, and what is waited for.
pub(super) fn merged<'fd>(interests: &[Interest<'fd>]) -> Vec<(BorrowedFd<'fd>, PollFlags)> {
    let mut sorted = interests.to_vec();
    sorted.sort_by_key(|interest| interest.fd.as_raw_fd());
    let rows = sorted.chunk_by(is_same);
    rows.map(|same| (same[0].fd, events_of(same))).collect()
}

/// As [`wait`], with readiness that only a future can tell ([`EmbedderInput::ready`] and the like).
///
/// Returns when an interest or one of `futures` is ready, or `deadline` has passed. A future that
/// has completed is replaced by `None`. The futures are polled on this thread, inside the runtime
/// it is in or else wasmtime-wasi's; their wakers write to a descriptor that takes part in the same
/// `poll(2)`. Where the process has none left for that, the futures are looked at every 20 ms.
///
/// # Errors
///
/// As [`wait`].
///
/// [`EmbedderInput::ready`]: super::EmbedderInput::ready
pub fn wait_with(
    interests: &mut [Interest<'_>],
    futures: &mut [Option<Ready<'_>>],
    deadline: &Deadline,
    end: &EndSignal,
) -> Result<usize, BlockingError> {
    if futures.is_empty() {
        return wait(interests, deadline, end);
    }
    end.check()?;
    let alarm = Arc::new(Alarm(WakeFd::new().ok()));
    let waker = Waker::from(Arc::clone(&alarm));
    let mut all: Vec<Interest<'_>> = interests.to_vec();
    if let Some(wake) = &alarm.0 {
        all.push(Interest::new(wake.descriptor(), Direction::Read));
    }
    loop {
        // Cleared before the look, so that a wake-up during it stays.
        if let Some(wake) = &alarm.0 {
            wake.clear();
        }
        let completed = with_ambient_tokio_runtime(|| {
            let mut cx = Context::from_waker(&waker);
            let mut completed = 0;
            for slot in futures.iter_mut() {
                if slot
                    .as_mut()
                    .is_some_and(|future| future.as_mut().poll(&mut cx).is_ready())
                {
                    *slot = None;
                    completed += 1;
                }
            }
            completed
        });
        let limit = match alarm.0 {
            _ if completed > 0 => Deadline::NOW,
            Some(_) => *deadline,
            None => deadline.or(Deadline::after(LOOK_EVERY)),
        };
        wait(&mut all, &limit, end)?;
        let woken = all
            .get(interests.len())
            .is_none_or(|alarm| alarm.found.ready);
        let mut ready = completed;
        for (interest, seen) in interests.iter_mut().zip(&all) {
            interest.found = seen.found;
            ready += usize::from(seen.found.ready);
        }
        // Only a future woke the thread, or a future cannot wake it: look at the futures again.
        if ready > 0 || !woken || deadline.has_passed() {
            return Ok(ready);
        }
    }
}

/// Wakes a thread that is in `poll(2)`; none, where the process has no descriptor left.
struct Alarm(Option<WakeFd>);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(wake) = &self.0 {
            wake.set();
        }
    }
}
