//! One call of one thread: what it may use and what it leaves behind.

pub(crate) mod arguments;
pub(crate) mod dispatch;

use crate::abi::error::Result;
use crate::abi::types::{Errno, Fd, Rights};
use crate::call::dispatch::Resume;
use crate::ctx::Shared;
use crate::descriptor::Descriptor;
use crate::descriptor::fds::Entry;
use crate::path::operations::Scratch;

/// The receiver of every function. Made when a call begins, gone when it ends; shared with nobody.
pub(crate) struct Call<'a> {
    /// What all threads share.
    pub(crate) shared: &'a Shared,
    /// What this store keeps between calls so that they need not allocate.
    pub(crate) scratch: &'a mut Scratch,
    /// What is left of the call's fuel, in bytes.
    pub(crate) fuel: usize,
    /// Where there is one, this is an attempt: what would wait leaves here what it waits for, and is tried again.
    /// Otherwise the calling thread waits.
    pub(crate) resume: Option<&'a mut Resume>,
}

impl<'a> Call<'a> {
    /// The descriptor a number means at this moment, held until the end of the call; for a call that is tried again,
    /// the one it found at first.
    #[inline]
    pub(crate) fn fd(&self, fd: Fd) -> Result<Entry<'a>, Errno> {
        if let Some(resume) = &self.resume
            && let Some(kept) = resume.kept()
        {
            return Ok(kept);
        }
        self.shared.fds.get(fd.into())
    }

    /// Whether an earlier attempt has begun this call. What was checked then is not checked again.
    #[inline]
    pub(crate) fn is_resumed(&self) -> bool {
        self.resume
            .as_ref()
            .is_some_and(|resume| resume.has_begun())
    }

    /// `notcapable` when one of `rights` was given up before the call.
    #[inline]
    pub(crate) fn allow(&self, descriptor: &Descriptor, rights: Rights) -> Result<()> {
        if self.is_resumed() {
            return Ok(());
        }
        descriptor.allow(rights)
    }
}
