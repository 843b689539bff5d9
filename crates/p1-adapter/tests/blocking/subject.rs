//! Ways to read and write a descriptor: the crate's, and ones with a fault each.

use crate::sys::set_nonblocking;
pub(crate) use crate::sys::{read_once, write_once};
use p1_adapter::fd::{AsFd, BorrowedFd, OwnedFd};
use p1_adapter::test_hooks::{
    BlockingError, Deadline, Direction, EndSignal, Interrupted, Stream, wait,
};
use std::io::{self, Read, Write};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

pub(crate) type Outcome = Result<usize, BlockingError>;

pub(crate) trait Subject: Send + Sync + 'static {
    fn new(fd: BorrowedFd<'_>) -> Self;
    /// One that `threads` threads are going to use at once.
    fn shared_by(fd: BorrowedFd<'_>, threads: usize) -> Self
    where
        Self: Sized,
    {
        let _ = threads;
        Self::new(fd)
    }
    fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome;
    fn write(&self, bytes: &[u8], nonblocking: bool, end: &EndSignal) -> Outcome;
    fn poll(&self, direction: Direction, deadline: Deadline, end: &EndSignal) -> Outcome;
}

/// The crate's own.
pub(crate) struct Ours(pub(crate) Stream);

impl Subject for Ours {
    fn new(fd: BorrowedFd<'_>) -> Self {
        Ours(Stream::inherited(fd).unwrap())
    }

    fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        self.0
            .read(nonblocking, end, |fd, manner| read_once(fd, manner, buffer))
    }

    fn write(&self, bytes: &[u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        self.0
            .write(bytes.len(), nonblocking, end, |fd, manner, range| {
                write_once(fd, manner, &bytes[range])
            })
    }

    fn poll(&self, direction: Direction, deadline: Deadline, end: &EndSignal) -> Outcome {
        match self.0.interest(direction) {
            None => Ok(1),
            Some(interest) => wait(&mut [interest], &deadline, end),
        }
    }
}

fn sleep_until_ready(fd: BorrowedFd<'_>, direction: Direction, end: &EndSignal) -> Outcome {
    let interest = p1_adapter::test_hooks::Interest::new(fd, direction);
    wait(&mut [interest], &Deadline::NEVER, end)
}

fn would_block(error: &BlockingError) -> bool {
    matches!(error, BlockingError::Io(e) if e.kind() == io::ErrorKind::WouldBlock)
}

/// What the broken ones share; each overrides the part that is wrong.
macro_rules! delegate {
    ($($what:ident),*) => { $(delegate!(@ $what);)* };
    (@ read) => {
        fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome {
            self.ours.read(buffer, nonblocking, end)
        }
    };
    (@ write) => {
        fn write(&self, bytes: &[u8], nonblocking: bool, end: &EndSignal) -> Outcome {
            self.ours.write(bytes, nonblocking, end)
        }
    };
    (@ poll) => {
        fn poll(&self, direction: Direction, deadline: Deadline, end: &EndSignal) -> Outcome {
            self.ours.poll(direction, deadline, end)
        }
    };
}

/// Blocks in the call itself, where no signal arrives.
pub(crate) struct Deaf(std::fs::File);

impl Subject for Deaf {
    fn new(fd: BorrowedFd<'_>) -> Self {
        Deaf(fd.try_clone_to_owned().unwrap().into())
    }

    fn read(&self, buffer: &mut [u8], _: bool, _: &EndSignal) -> Outcome {
        Ok((&self.0).read(buffer)?)
    }

    fn write(&self, bytes: &[u8], _: bool, _: &EndSignal) -> Outcome {
        (&self.0).write_all(bytes)?;
        Ok(bytes.len())
    }

    fn poll(&self, direction: Direction, _: Deadline, _: &EndSignal) -> Outcome {
        let nobody = EndSignal::new();
        sleep_until_ready(self.0.as_fd(), direction, &nobody)
    }
}

/// Sets `O_NONBLOCK` on a description that is not its own.
pub(crate) struct SetsFlag {
    ours: Ours,
    theirs: OwnedFd,
}

impl Subject for SetsFlag {
    fn new(fd: BorrowedFd<'_>) -> Self {
        SetsFlag {
            ours: Ours::new(fd),
            theirs: fd.try_clone_to_owned().unwrap(),
        }
    }

    fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        set_nonblocking(&self.theirs, true);
        self.ours.read(buffer, nonblocking, end)
    }

    fn write(&self, bytes: &[u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        set_nonblocking(&self.theirs, true);
        self.ours.write(bytes, nonblocking, end)
    }

    delegate!(poll);
}

/// Reads more than it was asked for and keeps the rest to itself.
pub(crate) struct ReadsAhead {
    ours: Ours,
    buffer: Mutex<Vec<u8>>,
}

impl Subject for ReadsAhead {
    fn new(fd: BorrowedFd<'_>) -> Self {
        ReadsAhead {
            ours: Ours::new(fd),
            buffer: Mutex::default(),
        }
    }

    fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        let mut kept = self.buffer.lock().unwrap();
        if kept.is_empty() {
            let mut block = vec![0; 8192];
            let count = self.ours.read(&mut block, nonblocking, end)?;
            kept.extend(&block[..count]);
        }
        let count = kept.len().min(buffer.len());
        buffer[..count].copy_from_slice(&kept[..count]);
        kept.drain(..count);
        Ok(count)
    }

    delegate!(write, poll);
}

/// Writes each record in two pieces, between which the others write their first.
pub(crate) struct InPieces {
    ours: Ours,
    begun: Barrier,
}

impl Subject for InPieces {
    fn new(fd: BorrowedFd<'_>) -> Self {
        Self::shared_by(fd, 1)
    }

    fn shared_by(fd: BorrowedFd<'_>, threads: usize) -> Self {
        InPieces {
            ours: Ours::new(fd),
            begun: Barrier::new(threads),
        }
    }

    fn write(&self, bytes: &[u8], _: bool, end: &EndSignal) -> Outcome {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let count = self.ours.write(first, false, end)?;
        self.begun.wait();
        Ok(count + self.ours.write(second, false, end)?)
    }

    delegate!(read, poll);
}

/// Polls, then makes a call that blocks if another thread was faster: all have seen the same.
pub(crate) struct PollsFirst {
    ours: Ours,
    theirs: OwnedFd,
    seen: Barrier,
}

impl Subject for PollsFirst {
    fn new(fd: BorrowedFd<'_>) -> Self {
        Self::shared_by(fd, 1)
    }

    fn shared_by(fd: BorrowedFd<'_>, threads: usize) -> Self {
        PollsFirst {
            ours: Ours::new(fd),
            theirs: fd.try_clone_to_owned().unwrap(),
            seen: Barrier::new(threads),
        }
    }

    fn read(&self, buffer: &mut [u8], _: bool, end: &EndSignal) -> Outcome {
        sleep_until_ready(self.theirs.as_fd(), Direction::Read, end)?;
        self.seen.wait();
        Ok(crate::sys::read(&self.theirs, buffer)?)
    }

    delegate!(write, poll);
}

/// One lock for everything done to the descriptor, held while waiting.
pub(crate) struct OneLock {
    ours: Ours,
    lock: Mutex<()>,
}

impl Subject for OneLock {
    fn new(fd: BorrowedFd<'_>) -> Self {
        OneLock {
            ours: Ours::new(fd),
            lock: Mutex::new(()),
        }
    }

    fn read(&self, buffer: &mut [u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        let _held = self.lock.lock().unwrap();
        self.ours.read(buffer, nonblocking, end)
    }

    fn write(&self, bytes: &[u8], nonblocking: bool, end: &EndSignal) -> Outcome {
        let _held = self.lock.lock().unwrap();
        self.ours.write(bytes, nonblocking, end)
    }

    fn poll(&self, direction: Direction, deadline: Deadline, end: &EndSignal) -> Outcome {
        let _held = self.lock.lock().unwrap();
        self.ours.poll(direction, deadline, end)
    }
}

/// Waits in slices of a few milliseconds.
pub(crate) struct Slices {
    ours: Ours,
}

impl Subject for Slices {
    fn new(fd: BorrowedFd<'_>) -> Self {
        Slices {
            ours: Ours::new(fd),
        }
    }

    fn read(&self, buffer: &mut [u8], _: bool, end: &EndSignal) -> Outcome {
        loop {
            match self.ours.read(buffer, true, end) {
                Err(error) if would_block(&error) => {}
                outcome => return outcome,
            }
            end.check()?;
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn poll(&self, direction: Direction, deadline: Deadline, end: &EndSignal) -> Outcome {
        while !deadline.has_passed() {
            let ready = self.ours.poll(direction, Deadline::NOW, end)?;
            if ready > 0 {
                return Ok(ready);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(0)
    }

    delegate!(write);
}

/// Ignores that the guest asked not to wait.
pub(crate) struct NeverAgain {
    ours: Ours,
}

impl Subject for NeverAgain {
    fn new(fd: BorrowedFd<'_>) -> Self {
        NeverAgain {
            ours: Ours::new(fd),
        }
    }

    fn read(&self, buffer: &mut [u8], _: bool, end: &EndSignal) -> Outcome {
        self.ours.read(buffer, false, end)
    }

    fn write(&self, bytes: &[u8], _: bool, end: &EndSignal) -> Outcome {
        self.ours.write(bytes, false, end)
    }

    delegate!(poll);
}

/// A new subject, shared.
pub(crate) fn subject<S: Subject>(fd: &impl AsFd) -> Arc<S> {
    Arc::new(S::new(fd.as_fd()))
}

/// Whether a call ended because of the signal.
pub(crate) fn was_interrupted(outcome: &Outcome) -> bool {
    matches!(outcome, Err(BlockingError::Interrupted(Interrupted)))
}
