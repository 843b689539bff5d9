//! One call of one thread: what it may use and what it leaves behind.

pub(crate) mod arguments;
pub(crate) mod dispatch;
pub(crate) mod host_word;
pub(crate) mod memory_use;
pub(crate) mod retry;
pub(crate) mod subscriptions;

use crate::abi::error::{Error, Result};
use crate::abi::types::{Errno, Fd, Rights, UserErrorConversion};
use crate::ctx::Shared;
use crate::ctx::state::Scratch;
use crate::ctx::unrepeatable::Unrepeatable;
use crate::descriptor::Descriptor;
use crate::descriptor::fds::FoundDescriptor;
use crate::descriptor::stream::GuestStream;
use retry::Retry;

/// The receiver of every function. Made when a call begins, gone when it ends; not shared.
pub(crate) struct Call<'a> {
    /// What all threads share.
    pub(crate) shared: &'a Shared,
    /// What this store keeps between calls so that they need not allocate.
    pub(crate) scratch: &'a mut Scratch,
    /// What is left of the call's fuel, in bytes.
    pub(crate) fuel: usize,
    /// If there is one, this is an attempt: a call that would wait leaves here what it waits for,
    /// and is tried again. Otherwise the calling thread waits.
    pub(crate) retry: Option<&'a mut Retry>,
}

impl<'a> Call<'a> {
    /// The descriptor that a number means at this moment, held until the end of the call. A call
    /// that is tried again gets the one it found at first.
    #[inline]
    pub(crate) fn fd(&self, fd: Fd) -> Result<FoundDescriptor<'a>, Errno> {
        if let Some(retry) = &self.retry
            && let Some(kept) = retry.kept()
        {
            return Ok(kept);
        }
        self.shared.fds.get(fd.into())
    }

    /// Whether an earlier attempt has begun this call. What was checked then is not checked again.
    #[inline]
    pub(crate) fn is_retried(&self) -> bool {
        self.retry.as_ref().is_some_and(|retry| retry.has_begun())
    }

    /// `notcapable` when one of `rights` was given up before the call.
    #[inline]
    pub(crate) fn allow(&self, descriptor: &Descriptor, rights: Rights) -> Result<()> {
        if self.is_retried() {
            return Ok(());
        }
        descriptor.allow(rights)
    }

    /// Asks the hook about a stream that is about to be used, if the stream depends on the host.
    #[inline]
    pub(crate) fn meet_stream(&self, stream: &GuestStream) -> Result<()> {
        match &self.shared.hooks.unrepeatable {
            None => Ok(()),
            Some(_) => self.meet(Unrepeatable::of_stream(stream)),
        }
    }

    /// Asks about what is about to be used.
    #[cold]
    pub(crate) fn meet(&self, what: Option<Unrepeatable>) -> Result<()> {
        match what {
            Some(what) => self.shared.hooks.meet(what).map_err(Error::trap),
            None => Ok(()),
        }
    }

    /// Asks the hook about an error, unless the guest itself caused it.
    #[cold]
    fn meet_error(&self, errno: Errno) -> wasmtime::Result<()> {
        let own = match errno {
            // Nothing else leaves none: `pay`.
            Errno::Nomem => self.fuel == 0,
            Errno::Mfile => self.shared.fds.is_full(),
            // A wait that is yet to come, and the call's next attempt.
            Errno::Again => self.retry.as_ref().is_some_and(|retry| retry.is_waiting()),
            _ => false,
        };
        match Unrepeatable::of_errno(errno) {
            Some(what) if !own => self.shared.hooks.meet(what),
            _ => Ok(()),
        }
    }
}

impl UserErrorConversion for Call<'_> {
    fn errno_from_error(&mut self, e: Error) -> wasmtime::Result<Errno> {
        match e {
            Error::Errno(errno) if self.shared.hooks.unrepeatable.is_none() => Ok(errno),
            Error::Errno(errno) => self.meet_error(errno).map(|()| errno),
            Error::Trap(trap) => Err(*trap),
        }
    }
}
