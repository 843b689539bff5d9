//! The guest's subscriptions, copied out and understood.

use super::Layout;
use crate::abi::error::{Error, Result};
use crate::abi::types::{
    Errno, Event, Eventtype, Subclockflags, Subscription, SubscriptionU, Userdata,
};
use crate::abi::types::{Fd, Rights};
use crate::blocking::{Deadline, Direction};
use crate::call::Call;
use crate::descriptor::stream::Stream;
use crate::descriptor::{Descriptor, Kind};
use smallvec::SmallVec;
use std::ops::Deref;
use std::sync::Arc;
use wiggle::{GuestError, GuestMemory};

/// One subscription and what it waits for.
pub(crate) struct Subscribed {
    pub(super) userdata: Userdata,
    pub(super) kind: Eventtype,
    pub(super) source: Source,
}

/// What makes a subscription ready.
pub(crate) enum Source {
    Clock(Deadline),
    /// Ready without waiting, with this to report.
    Known(Answer),
    Stream(StreamOf, Direction),
}

/// What is known at once.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// The subscription itself is at fault; the error is in its event.
    Error(Errno),
    /// A file or a directory: never waits. So many bytes are left to read.
    Bytes(u64),
}

/// A descriptor that is a stream, held for the length of the poll: closing its number meanwhile does not end the wait.
pub(crate) struct StreamOf(Arc<Descriptor>);

impl StreamOf {
    pub(super) fn get(&self) -> &Stream {
        match self.0.kind() {
            Ok(Kind::Stream(stream)) => stream,
            // What has been recognised as a stream stays one, and is not asked again.
            _ => unreachable!("made of streams only"),
        }
    }
}

/// What one subscription makes the host keep, at most: itself, its place and its interest in a wait, what `poll(2)` is
/// given, a waiter of an embedder's stream or a task's, its event.
const KEPT: usize = size_of::<Subscribed>() + size_of::<Event>() + 200;

/// Reads every subscription. Fuel is paid for what the guest has written and for what is kept of it.
///
/// `inval` for a clock that cannot be waited for or a tag that is none: those are faults of the call.
pub(super) fn all(
    call: &mut Call<'_>,
    memory: &GuestMemory<'_>,
    subscriptions: u32,
    count: u32,
    layout: Layout,
) -> Result<Subscriptions> {
    call.pay(count as usize * (layout.size as usize + KEPT))?;
    let mut all = SmallVec::new();
    for i in 0..count {
        let at = i
            .checked_mul(layout.size)
            .and_then(|offset| subscriptions.checked_add(offset));
        let at = at.ok_or(GuestError::PtrOverflow)?;
        let Subscription { userdata, u } = (layout.read)(memory, at)?;
        let (kind, source) = match u {
            SubscriptionU::Clock(clock) => {
                let absolute = clock
                    .flags
                    .contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
                let due = call
                    .shared
                    .clocks
                    .deadline(clock.id, clock.timeout, absolute)?;
                (Eventtype::Clock, Source::Clock(due))
            }
            SubscriptionU::FdRead(on) => (
                Eventtype::FdRead,
                source(call, on.file_descriptor, Direction::Read)?,
            ),
            SubscriptionU::FdWrite(on) => (
                Eventtype::FdWrite,
                source(call, on.file_descriptor, Direction::Write)?,
            ),
        };
        all.push(Subscribed {
            userdata,
            kind,
            source,
        });
    }
    Ok(Subscriptions(all))
}

/// What one poll is about.
pub(crate) struct Subscriptions(SmallVec<[Subscribed; 4]>);

impl Deref for Subscriptions {
    type Target = [Subscribed];

    fn deref(&self) -> &[Subscribed] {
        &self.0
    }
}

impl Subscriptions {
    /// The error of the first subscription, if every one of them is at fault.
    pub(super) fn common_fault(&self) -> Option<Errno> {
        let mut faults = self.iter().map(|one| match one.source {
            Source::Known(Answer::Error(errno)) => Some(errno),
            _ => None,
        });
        let first = faults.next()??;
        faults.all(|fault| fault.is_some()).then_some(first)
    }
}

fn source(call: &Call<'_>, fd: Fd, direction: Direction) -> Result<Source> {
    match try_source(call, fd, direction) {
        Err(Error::Errno(errno)) => Ok(Source::Known(Answer::Error(errno))),
        other => other,
    }
}

fn try_source(call: &Call<'_>, fd: Fd, direction: Direction) -> Result<Source> {
    let entry = call.fd(fd)?;
    entry.allow(Rights::POLL_FD_READWRITE)?;
    // What one may not do one may not wait for (witx, `poll_fd_readwrite`).
    let transfer = match direction {
        Direction::Read => Rights::FD_READ,
        Direction::Write => Rights::FD_WRITE,
    };
    match entry.kind()? {
        // Never waits, and has no bytes.
        Kind::Dir(_) => Ok(Source::Known(Answer::Bytes(0))),
        Kind::File(file) => {
            entry.allow(transfer)?;
            Ok(Source::Known(Answer::Bytes(match direction {
                Direction::Write => {
                    // As wasmtime-wasi has it, which looks at the permissions and not at the mode.
                    file.check_perms()?;
                    1
                }
                Direction::Read => file.bytes_left()?,
            })))
        }
        Kind::Stream(stream) => {
            // A listener is waited for to accept from.
            if !stream.is_listener() {
                entry.allow(transfer)?;
            }
            stream.check_poll(direction)?;
            Ok(Source::Stream(StreamOf(entry.keep()), direction))
        }
    }
}
