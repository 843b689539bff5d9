//! Reading and writing, waiting where need be.

use super::deadline::Deadline;
use super::end::{BlockingError, EndSignal};
use super::stream::{Manner, Policy, Stream, StreamKind};
use super::wait::{Direction, Interest, Readiness, is_ready, wait_for_unready, wait_in_place};
use crate::sys::blocked::Cancellable;
use crate::sys::errno::Errno;
use crate::sys::fd::{AsFd, BorrowedFd};
use crate::sys::poll::PIPE_HAS_ROOM;
use std::io;
use std::ops::Range;

/// The most that one blocking write takes after a poll said "ready": POSIX's smallest `PIPE_BUF`.
const POLLED_WRITE: usize = 512;

/// What came of one attempt.
enum Attempted {
    Done(usize),
    WouldBlock,
    /// This way of asking is not supported here; the policy has been changed.
    AskAgain,
}

impl Stream {
    /// One read: waits until there is something (or the end of the stream), then transfers once.
    ///
    /// `attempt` makes one system call on the given descriptor in the given [`Manner`], for no more
    /// than the guest asked, and returns its result. It may be called several times. With
    /// `nonblocking`, the error is `WouldBlock` instead of a wait. If the receiving side of a
    /// datagram socket is shut, the socket is at its end (0) once all that had come is read, as for
    /// a `recv(2)` that may wait.
    ///
    /// Two threads that read at once get disjoint bytes: each transfer is one system call. A read
    /// takes no lock that a write, a poll or a close takes.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Interrupted`] if `end` is raised while it waits, otherwise what `attempt`
    /// returned.
    pub fn read(
        &self,
        nonblocking: bool,
        end: &EndSignal,
        mut attempt: impl FnMut(BorrowedFd<'_>, Manner) -> io::Result<usize>,
    ) -> Result<usize, BlockingError> {
        // Set after an attempt that found nothing, so that what came before is found by another
        // one.
        let mut shut = false;
        loop {
            let outcome = match self.policy() {
                policy @ Policy::PollFirst => {
                    // Keeps a second reader of this process from taking what this one has seen.
                    let _lock = if nonblocking {
                        self.reading.try_lock().ok_or(Errno::AGAIN)?
                    } else {
                        self.reading.lock(end)?
                    };
                    if is_ready(self.as_fd(), Direction::Read)?.ready {
                        self.attempt(policy, end, &mut attempt)?
                    } else {
                        Attempted::WouldBlock
                    }
                }
                policy => self.attempt(policy, end, &mut attempt)?,
            };
            match outcome {
                Attempted::Done(count) => return Ok(count),
                Attempted::AskAgain => {}
                Attempted::WouldBlock if nonblocking => return Err(Errno::AGAIN.into()),
                Attempted::WouldBlock if shut => return Ok(0),
                Attempted::WouldBlock => shut = self.wait_for(Direction::Read, end)?.shut,
            }
        }
    }

    /// One write of `len` bytes: waits for the write lock and then for room, until all is written.
    ///
    /// `attempt` makes one system call on the descriptor, in the [`Manner`] given, for (at most)
    /// the given range of the guest's bytes, and returns how many were taken. With `nonblocking`
    /// there is one attempt, which may take fewer, and the error is `WouldBlock` if nothing could
    /// be written now or another thread is writing.
    ///
    /// No other write to this stream by this process comes between the first byte and the last. A
    /// blocked write delays no read, poll or close.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Interrupted`] if `end` is raised while it waits or between two pieces, even
    /// if part was written. Otherwise the error that `attempt` returned. If some bytes had been
    /// written before, their number is the result, and the error comes with the next write.
    pub fn write(
        &self,
        len: usize,
        nonblocking: bool,
        end: &EndSignal,
        mut attempt: impl FnMut(BorrowedFd<'_>, Manner, Range<usize>) -> io::Result<usize>,
    ) -> Result<usize, BlockingError> {
        if self.is_always_ready() {
            // One system call is one write; the kernel locks the position. A short count (a full
            // disk, a limit) is the guest's to see.
            return loop {
                match self.attempt(Policy::Direct, end, |fd, manner| {
                    attempt(fd, manner, 0..len)
                })? {
                    Attempted::Done(count) => break Ok(count),
                    Attempted::WouldBlock => break Err(Errno::AGAIN.into()),
                    Attempted::AskAgain => {}
                }
            };
        }
        let _lock = if nonblocking {
            self.writing.try_lock().ok_or(Errno::AGAIN)?
        } else {
            self.writing.lock(end)?
        };
        self.write_locked(len, nonblocking, end, attempt)
    }

    /// As [`write`](Self::write), for the holder of the write lock.
    pub(crate) fn write_locked(
        &self,
        len: usize,
        nonblocking: bool,
        end: &EndSignal,
        mut attempt: impl FnMut(BorrowedFd<'_>, Manner, Range<usize>) -> io::Result<usize>,
    ) -> Result<usize, BlockingError> {
        let mut done = 0;
        loop {
            let outcome = match self.policy() {
                policy @ Policy::PollFirst => {
                    if is_ready(self.as_fd(), Direction::Write)?.ready {
                        let most = match self.kind() {
                            StreamKind::Pipe => PIPE_HAS_ROOM,
                            _ => POLLED_WRITE,
                        };
                        let limit = len.min(done + most);
                        self.attempt(policy, end, |fd, manner| attempt(fd, manner, done..limit))
                    } else {
                        Ok(Attempted::WouldBlock)
                    }
                }
                policy => self.attempt(policy, end, |fd, manner| attempt(fd, manner, done..len)),
            };
            match outcome {
                Ok(Attempted::Done(count)) => {
                    done += count;
                    if done >= len || nonblocking || count == 0 {
                        return Ok(done);
                    }
                    end.check()?;
                }
                Ok(Attempted::AskAgain) => {}
                Ok(Attempted::WouldBlock) if nonblocking => return Err(Errno::AGAIN.into()),
                Ok(Attempted::WouldBlock) => drop(self.wait_for(Direction::Write, end)?),
                Err(BlockingError::Io(_)) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `direction` is ready, or forever.
    fn wait_for(&self, direction: Direction, end: &EndSignal) -> Result<Readiness, BlockingError> {
        let mut interest = [Interest::new(self.as_fd(), direction)];
        match end.rounds() {
            Some(rounds) if rounds.only_shared && self.is_from_outside() => {
                wait_in_place(&mut interest, &Deadline::NEVER, end)?
            }
            _ => wait_for_unready(&mut interest, &Deadline::NEVER, end)?,
        };
        Ok(interest[0].found())
    }

    /// One attempt, repeated only if a signal handler cut it short. The caller gives the policy. If
    /// it were read again here, a change in between would make this a blocking call.
    fn attempt(
        &self,
        policy: Policy,
        end: &EndSignal,
        mut attempt: impl FnMut(BorrowedFd<'_>, Manner) -> io::Result<usize>,
    ) -> Result<Attempted, BlockingError> {
        let manner = match policy {
            Policy::Direct | Policy::PollFirst => Manner::Plain,
            Policy::NoWait => Manner::NoWait,
            Policy::Socket => Manner::Socket,
        };
        // Where a call that waits can be ended, from before it is made until it has returned.
        // (Files do not wait.)
        let waits = !self.is_always_ready();
        let cancellable = waits.then(Cancellable::begin).flatten();
        let _ends = match cancellable {
            Some((call, cancel)) => Some((call, end.on_raise(cancel)?)),
            None => None,
        };
        loop {
            let error = match attempt(self.as_fd(), manner) {
                Ok(count) => return Ok(Attempted::Done(count)),
                Err(error) => error,
            };
            match Errno::from_io_error(&error) {
                Some(Errno::INTR) => end.check()?,
                Some(Errno::AGAIN) => return Ok(Attempted::WouldBlock),
                // EOPNOTSUPP: this object has no such flag. ENOSYS, EINVAL: this kernel. EPERM: a
                // filter of system calls.
                Some(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::PERM)
                    if manner == Manner::NoWait =>
                {
                    self.poll_first();
                    return Ok(Attempted::AskAgain);
                }
                _ => return Err(error.into()),
            }
        }
    }
}
