//! Calls that are tried again instead of waiting on their thread. The async linker turns each wait
//! into this.
//!
//! An attempt that cannot finish leaves a future in its [`Retry`]. The linker awaits it, holding no
//! memory, no lock and no entry of the descriptor table, and makes the call again. What the next
//! attempt has to know stays in the `Retry`: how far the call has come, the write lock, and the
//! descriptor found at first (so a number closed meanwhile does not fail the call). Dropping the
//! future of a call gives all of that up.

use super::subscriptions::Subscriptions;
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::blocking::{self, Direction};
use crate::descriptor::Kind;
use crate::descriptor::fds::{FoundDescriptor, HeldDescriptor};
use crate::descriptor::stream::{GuestStream, ReadyBy};
use crate::guest::buffers::BufferList;
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
    /// As `Ready`, and nothing more comes.
    Shut,
    /// The write lock is taken.
    Locked(OwnedMutexGuard<()>),
}

/// What one call keeps from one attempt to the next.
#[derive(Default)]
pub(crate) struct Retry {
    wait: Option<Wait>,
    pub(super) descriptor: Option<HeldDescriptor>,
    /// The guest's list of buffers, read once.
    pub(crate) buffers: Option<BufferList>,
    /// Bytes transferred so far, where a call is more than one transfer.
    pub(super) done: usize,
    /// Held from the first byte of a write to its last, and for the flush.
    pub(super) write_lock: Option<OwnedMutexGuard<()>>,
    /// All is written, and not flushed yet.
    pub(super) written: bool,
    pub(super) flush_begun: bool,
    /// Attempts in a row that got nowhere although the stream was ready.
    fruitless: u32,
    /// An attempt that finds nothing has found the end.
    pub(super) shut: bool,
    /// The subscriptions of a poll, read once.
    pub(crate) poll: Option<Arc<Subscriptions>>,
}

impl Retry {
    /// What the last attempt waits for; nothing if it was the last one.
    pub(crate) fn take_wait(&mut self) -> Option<Wait> {
        self.wait.take()
    }

    /// Whether the attempt has left something to wait for.
    pub(crate) fn is_waiting(&self) -> bool {
        self.wait.is_some()
    }

    pub(crate) fn wake(&mut self, woken: Woken) {
        match woken {
            Woken::Ready => {}
            Woken::Shut => self.shut = true,
            Woken::Locked(guard) => self.write_lock = Some(guard),
        }
    }

    /// Whether an attempt has found its descriptor and what it may do, and begun to wait.
    #[inline]
    pub(crate) fn has_begun(&self) -> bool {
        self.descriptor.is_some()
    }

    pub(crate) fn kept(&self) -> Option<FoundDescriptor<'static>> {
        self.descriptor.clone().map(FoundDescriptor::Kept)
    }

    /// Leaves `wait` to be awaited; what the attempt ends with.
    pub(crate) fn wait_for(&mut self, wait: Wait) -> Error {
        self.wait = Some(wait);
        Errno::Again.into()
    }

    /// Counts what was transferred.
    pub(super) fn progress(&mut self, count: usize) {
        self.done += count;
        self.fruitless = 0;
    }

    /// If a stream keeps saying "ready" without being ready, other tasks run in between. An
    /// embedder's stream is given up at last, as it is for a thread that waits.
    pub(super) fn wait_for_stream(
        &mut self,
        descriptor: HeldDescriptor,
        direction: Direction,
    ) -> Error {
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
            let shut = match descriptor.kind()? {
                Kind::Stream(stream) => ready(stream, direction).await?,
                _ => false,
            };
            Ok(if shut { Woken::Shut } else { Woken::Ready })
        }))
    }
}

/// Completes when `stream` is ready for `direction`, and says whether its receiving side is shut.
async fn ready(stream: &GuestStream, direction: Direction) -> Result<bool> {
    match stream.readiness(direction) {
        ReadyBy::Always => {}
        ReadyBy::Poll(interest) => return Ok(blocking::ready(interest).await?.shut),
        ReadyBy::Future(future) => future.await,
    }
    Ok(false)
}
