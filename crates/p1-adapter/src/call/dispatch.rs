//! Calls that are tried again instead of waiting on their thread: what the async linker makes of a wait.
//!
//! An attempt that cannot finish leaves a future in its [`Resume`]. The linker awaits it, holding no memory, no lock and
//! no entry of the descriptor table, and makes the call again. What the next attempt has to know stays in the `Resume`:
//! the descriptor found at first (a number closed meanwhile does not fail the call), how far it has come, whose turn it
//! is. Dropping the future of a call gives all of that up.

use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::blocking::{self, Direction, EndSignal};
use crate::call::Call;
use crate::calls::poll::Subscriptions;
use crate::descriptor::fds::Entry;
use crate::descriptor::stream::{Readiness, Stream};
use crate::descriptor::{Descriptor, Kind};
use crate::guest::buffers::{BufferList, GuestBufs};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// What an attempt waits for.
pub(crate) type Wait = Pin<Box<dyn Future<Output = Result<Woken>> + Send>>;

/// How a wait ended.
pub(crate) enum Woken {
    /// It may be tried again.
    Ready,
    /// It is this writer's turn.
    Turn(OwnedMutexGuard<()>),
}

/// What one call keeps from one attempt to the next.
#[derive(Default)]
pub(crate) struct Resume {
    wait: Option<Wait>,
    descriptor: Option<Arc<Descriptor>>,
    /// The guest's list of buffers, read once.
    pub(crate) buffers: Option<BufferList>,
    /// Bytes transferred so far, where a call is more than one transfer.
    done: usize,
    /// Held from the first byte of a write to its last, and for the flush.
    turn: Option<OwnedMutexGuard<()>>,
    /// All is written, and not flushed yet.
    written: bool,
    flush_begun: bool,
    /// Attempts in a row that got nowhere although the stream was ready.
    fruitless: u32,
    /// The subscriptions of a poll, read once.
    pub(crate) poll: Option<Arc<Subscriptions>>,
}

impl Resume {
    /// What the last attempt waits for; nothing if it was the last one.
    pub(crate) fn take_wait(&mut self) -> Option<Wait> {
        self.wait.take()
    }

    pub(crate) fn wake(&mut self, woken: Woken) {
        if let Woken::Turn(turn) = woken {
            self.turn = Some(turn);
        }
    }

    /// Whether an attempt has found its descriptor and what it may do, and begun to wait.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.descriptor.is_some()
    }

    pub(crate) fn kept(&self) -> Option<Entry<'static>> {
        self.descriptor.clone().map(Entry::Kept)
    }

    /// Leaves `wait` to be awaited; what the attempt ends with.
    pub(crate) fn wait_for(&mut self, wait: Wait) -> Error {
        self.wait = Some(wait);
        Errno::Again.into()
    }

    /// Counts what was transferred.
    fn progress(&mut self, count: usize) {
        self.done += count;
        self.fruitless = 0;
    }

    /// A stream that keeps saying "ready" without being so lets other tasks run in between; an embedder's is given up at
    /// last, as it is where a thread waits.
    fn wait_for_stream(&mut self, descriptor: Arc<Descriptor>, direction: Direction) -> Error {
        self.fruitless += 1;
        let again = self.fruitless > 1;
        if let Ok(Kind::Stream(stream)) = descriptor.kind()
            && stream.is_embedders()
            && self.fruitless > blocking::PREMATURE
        {
            return blocking::premature().into();
        }
        self.descriptor = Some(Arc::clone(&descriptor));
        self.wait_for(Box::pin(async move {
            if again {
                tokio::task::yield_now().await;
            }
            if let Kind::Stream(stream) = descriptor.kind()? {
                ready(stream, direction).await?;
            }
            Ok(Woken::Ready)
        }))
    }
}

/// Completes when `stream` is ready for `direction`.
async fn ready(stream: &Stream, direction: Direction) -> Result<()> {
    match stream.readiness(direction) {
        Readiness::Always => {}
        Readiness::Poll(interest) => drop(blocking::ready(interest).await?),
        Readiness::Future(future) => future.await,
    }
    Ok(())
}

fn would_block<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Errno(Errno::Again)))
}

impl Call<'_> {
    /// Whether the descriptor was not to wait when the call began; it is then never tried again.
    fn is_nonblock(&self, descriptor: &Entry<'_>) -> bool {
        !self.is_resumed() && descriptor.nonblock()
    }

    /// One transfer, or one connection: `attempt` is told whether it may wait on this thread.
    pub(crate) fn once<T>(
        &mut self,
        descriptor: &Entry<'_>,
        attempt: impl FnOnce(bool, &EndSignal) -> Result<T>,
    ) -> Result<T> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let Some(resume) = &mut self.resume else {
            return attempt(nonblock, end);
        };
        let result = attempt(true, end);
        if would_block(&result) && !nonblock {
            return Err(resume.wait_for_stream(descriptor.keep(), Direction::Read));
        }
        result
    }

    /// Reads until `len` bytes have come, or the end: `attempt` is told which are missing.
    pub(crate) fn until_full(
        &mut self,
        descriptor: &Entry<'_>,
        len: usize,
        mut attempt: impl FnMut(std::ops::Range<usize>) -> Result<usize>,
    ) -> Result<usize> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let mut none = Resume::default();
        let resume = match &mut self.resume {
            Some(resume) => resume,
            None => &mut none,
        };
        loop {
            let result = attempt(resume.done..len);
            match result {
                Ok(count) => {
                    resume.progress(count);
                    if count == 0 || resume.done >= len {
                        return Ok(resume.done);
                    }
                    end.check()?;
                }
                Err(_) if would_block(&result) && !nonblock => {
                    return Err(resume.wait_for_stream(descriptor.keep(), Direction::Read));
                }
                Err(Error::Errno(_)) if resume.done > 0 => return Ok(resume.done),
                error => return error,
            }
        }
    }

    /// One write, all of it and in one piece, unless the descriptor does not wait.
    pub(crate) fn write(
        &mut self,
        descriptor: &Entry<'_>,
        stream: &Stream,
        bufs: &GuestBufs<'_>,
    ) -> Result<usize> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let turn = stream
            .write_turn()
            .filter(|_| !nonblock && !stream.is_nothing(bufs));
        let (Some(resume), Some(turn)) = (self.resume.as_deref_mut(), turn) else {
            return stream.write(bufs, nonblock, end);
        };
        if resume.turn.is_none() {
            match Arc::clone(turn).try_lock_owned() {
                Ok(turn) => resume.turn = Some(turn),
                Err(_) => {
                    resume.descriptor = Some(descriptor.keep());
                    let turn = Arc::clone(turn);
                    return Err(resume.wait_for(Box::pin(async move {
                        Ok(Woken::Turn(turn.lock_owned().await))
                    })));
                }
            }
        }
        let len = bufs.len();
        while !resume.written {
            let result = stream.write_piece(&bufs.slice(&(resume.done..len)), end);
            match result {
                Ok(count) => {
                    resume.progress(count);
                    resume.written = count == 0 || resume.done >= len;
                    end.check()?;
                }
                Err(_) if would_block(&result) => {
                    return Err(resume.wait_for_stream(descriptor.keep(), Direction::Write));
                }
                Err(Error::Errno(_)) if resume.done > 0 => return Ok(resume.done),
                error => return error,
            }
        }
        let flushed = stream.flush_piece(&mut resume.flush_begun);
        if would_block(&flushed) {
            return Err(resume.wait_for_stream(descriptor.keep(), Direction::Write));
        }
        flushed.map(|()| resume.done)
    }
}
