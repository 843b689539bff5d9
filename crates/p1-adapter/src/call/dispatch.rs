//! Whether a transfer waits on its thread or leaves its wait in the call's [`Retry`].

use super::Call;
use super::retry::{Retry, Woken};
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::blocking::{Direction, EndSignal};
use crate::descriptor::Kind;
use crate::descriptor::fds::FoundDescriptor;
use crate::descriptor::stream::GuestStream;
use crate::guest::buffers::GuestBufs;
use std::sync::Arc;

fn would_block<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Errno(Errno::Again)))
}

impl Call<'_> {
    /// Whether the descriptor was not to wait when the call began; it is then never tried again.
    fn is_nonblock(&self, descriptor: &FoundDescriptor<'_>) -> bool {
        !self.is_retried() && descriptor.nonblock() && !self.waits_anyway(descriptor)
    }

    /// Whether what the guest says about waiting has no effect.
    #[cold]
    fn waits_anyway(&self, descriptor: &FoundDescriptor<'_>) -> bool {
        let is_whole =
            || matches!(descriptor.kind(), Ok(Kind::Stream(stream)) if stream.is_whole());
        self.shared.hooks.whole_reads && is_whole()
    }

    /// One transfer, or one connection. `attempt` is told whether it must not wait on this thread.
    /// `at_the_end` is the result if it would wait for something that never comes any more.
    pub(crate) fn once<T>(
        &mut self,
        descriptor: &FoundDescriptor<'_>,
        at_the_end: Result<T>,
        attempt: impl FnOnce(bool, &EndSignal) -> Result<T>,
    ) -> Result<T> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let Some(retry) = &mut self.retry else {
            return attempt(nonblock, end);
        };
        let result = attempt(true, end);
        if would_block(&result) && !nonblock {
            if retry.shut {
                return at_the_end;
            }
            return Err(retry.wait_for_stream(descriptor.keep(), Direction::Read));
        }
        result
    }

    /// A read of a stream: once, or of all that its buffers have room for.
    pub(crate) fn read(
        &mut self,
        descriptor: &FoundDescriptor<'_>,
        stream: &GuestStream,
        bufs: &GuestBufs<'_>,
    ) -> Result<usize> {
        if self.shared.hooks.whole_reads && stream.is_whole() && !stream.is_terminal() {
            let asynchronous = self.retry.is_some();
            return self.until_full(descriptor, bufs.len(), |missing, end| {
                stream.read(&bufs.slice(&missing), asynchronous, end)
            });
        }
        self.once(descriptor, Ok(0), |nonblock, end| {
            stream.read(bufs, nonblock, end)
        })
    }

    /// Reads until `len` bytes have come, or the end. `attempt` is told which bytes are missing.
    pub(crate) fn until_full(
        &mut self,
        descriptor: &FoundDescriptor<'_>,
        len: usize,
        mut attempt: impl FnMut(std::ops::Range<usize>, &EndSignal) -> Result<usize>,
    ) -> Result<usize> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let mut none = Retry::default();
        let retry = match &mut self.retry {
            Some(retry) => retry,
            None => &mut none,
        };
        loop {
            let result = attempt(retry.done..len, end);
            match result {
                Ok(count) => {
                    retry.progress(count);
                    if count == 0 || retry.done >= len {
                        return Ok(retry.done);
                    }
                    end.check()?;
                }
                Err(_) if would_block(&result) && !nonblock => {
                    return Err(retry.wait_for_stream(descriptor.keep(), Direction::Read));
                }
                Err(Error::Errno(_)) if retry.done > 0 => return Ok(retry.done),
                error => return error,
            }
        }
    }

    /// One write, all of it and in one piece, unless the descriptor does not wait.
    pub(crate) fn write(
        &mut self,
        descriptor: &FoundDescriptor<'_>,
        stream: &GuestStream,
        bufs: &GuestBufs<'_>,
    ) -> Result<usize> {
        let (nonblock, end) = (self.is_nonblock(descriptor), &self.shared.end);
        let lock = stream
            .write_lock()
            .filter(|_| !nonblock && !stream.is_nothing(bufs));
        let (Some(retry), Some(lock)) = (self.retry.as_deref_mut(), lock) else {
            return stream.write(bufs, nonblock, end);
        };
        if retry.write_lock.is_none() {
            match Arc::clone(lock).try_lock_owned() {
                Ok(guard) => retry.write_lock = Some(guard),
                Err(_) => {
                    retry.descriptor = Some(descriptor.keep());
                    let lock = Arc::clone(lock);
                    return Err(retry.wait_for(Box::pin(async move {
                        Ok(Woken::Locked(lock.lock_owned().await))
                    })));
                }
            }
        }
        let len = bufs.len();
        while !retry.written {
            let result = stream.write_piece(&bufs.slice(&(retry.done..len)), end);
            match result {
                Ok(count) => {
                    retry.progress(count);
                    retry.written = count == 0 || retry.done >= len;
                    end.check()?;
                }
                Err(_) if would_block(&result) => {
                    return Err(retry.wait_for_stream(descriptor.keep(), Direction::Write));
                }
                Err(Error::Errno(_)) if retry.done > 0 => return Ok(retry.done),
                error => return error,
            }
        }
        let flushed = stream.flush_piece(&mut retry.flush_begun);
        if would_block(&flushed) {
            return Err(retry.wait_for_stream(descriptor.keep(), Direction::Write));
        }
        flushed.map(|()| retry.done)
    }
}
