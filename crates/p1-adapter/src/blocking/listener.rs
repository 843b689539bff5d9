//! A listening socket.

use super::deadline::Deadline;
use super::end::{BlockingError, EndSignal};
use super::wait::{Direction, Interest, is_ready, wait_for_unready};
use super::write_lock::EndableLock;
use crate::sys::errno::Errno;
use crate::sys::fd::{AsFd, BorrowedFd, OwnedFd};
use crate::sys::file::set_nonblocking;
use crate::sys::socket::accept;
use std::io;

/// A socket that accepts connections, and whose `accept` can be ended.
///
/// `accept(2)` has no flag for "do not wait", so the description must be non-blocking. That is set
/// on a listener that is [`owned`](Self::owned). One that other processes have too
/// ([`inherited`](Self::inherited), as from a service manager) keeps its flags and is polled first.
/// If another process takes the connection between poll and accept, the thread stays in the kernel
/// until the next connection. Other threads then wait for it; those that do not wait
/// (`nonblocking`) are told `WouldBlock`.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    /// Between poll and accept, for a shared description.
    accepting: Option<EndableLock>,
}

impl Listener {
    /// A listener that only this process has. Sets `O_NONBLOCK` on it.
    ///
    /// # Errors
    ///
    /// What `ioctl(FIONBIO)` reports.
    pub fn owned(fd: OwnedFd) -> io::Result<Listener> {
        set_nonblocking(&fd)?;
        Ok(Listener {
            fd,
            accepting: None,
        })
    }

    /// A listener whose description other processes use as well. Its flags are not changed.
    pub fn inherited(fd: OwnedFd) -> Listener {
        Listener {
            fd,
            accepting: Some(EndableLock::default()),
        }
    }

    /// The next connection, close-on-exec; waits for one unless `nonblocking`. Any number of
    /// threads may wait at once; each connection goes to one of them.
    ///
    /// # Errors
    ///
    /// [`BlockingError::Interrupted`] if `end` is raised while it waits; `WouldBlock` instead of
    /// waiting; otherwise what `accept` reports, such as `ECONNABORTED`. Instead of waiting for a
    /// connection to a listener that has been shut, `EINVAL`, as for an `accept(2)` that may wait.
    pub fn accept(&self, nonblocking: bool, end: &EndSignal) -> Result<OwnedFd, BlockingError> {
        let ((), connection) = self.accept_to(nonblocking, end, || Ok::<_, BlockingError>(()))?;
        Ok(connection)
    }

    /// As [`accept`](Self::accept), with a `place` that is made before each attempt and given up
    /// for each wait. A connection for which there is no place stays in the queue.
    pub(crate) fn accept_to<P, E: From<BlockingError>>(
        &self,
        nonblocking: bool,
        end: &EndSignal,
        mut place: impl FnMut() -> Result<P, E>,
    ) -> Result<(P, OwnedFd), E> {
        // Set after an attempt that found nothing, so that what came before is found by another
        // one.
        let mut shut = false;
        loop {
            let lock = match &self.accepting {
                None => None,
                Some(lock) if nonblocking => {
                    Some(lock.try_lock().ok_or(BlockingError::from(Errno::AGAIN))?)
                }
                Some(lock) => Some(lock.lock(end)?),
            };
            let place = place()?;
            let accepted = match lock
                .as_ref()
                .map(|_| is_ready(self.fd.as_fd(), Direction::Read))
            {
                Some(Ok(found)) if !found.ready => Err(Errno::AGAIN),
                Some(Err(errno)) => Err(errno),
                Some(Ok(_)) | None => accept(&self.fd),
            };
            drop(lock);
            match accepted {
                Ok(connection) => return Ok((place, connection)),
                Err(Errno::INTR) => end.check().map_err(BlockingError::from)?,
                Err(Errno::AGAIN) if shut => return Err(BlockingError::from(Errno::INVAL).into()),
                Err(Errno::AGAIN) if !nonblocking => {
                    drop(place);
                    let mut interest = [self.interest()];
                    wait_for_unready(&mut interest, &Deadline::NEVER, end)?;
                    shut = interest[0].found().shut;
                }
                Err(errno) => return Err(BlockingError::from(errno).into()),
            }
        }
    }

    /// What to [`wait`](super::wait) for until there is a connection.
    pub fn interest(&self) -> Interest<'_> {
        Interest::new(self.fd.as_fd(), Direction::Read)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
