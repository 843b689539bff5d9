//! What one poll is about, kept from one attempt to the next.

use crate::abi::types::{Errno, Eventtype, Userdata};
use crate::blocking::Direction;
use crate::budget::TakenBytes;
use crate::ctx::clocks::Due;
use crate::descriptor::Kind;
use crate::descriptor::fds::HeldDescriptor;
use crate::descriptor::stream::GuestStream;
use smallvec::SmallVec;
use std::ops::Deref;

/// One subscription and what it waits for.
pub(crate) struct Subscribed {
    pub(crate) userdata: Userdata,
    pub(crate) kind: Eventtype,
    pub(crate) trigger: Trigger,
}

/// What makes a subscription ready.
pub(crate) enum Trigger {
    Clock(Due),
    /// Ready without waiting, with this to report.
    Known(Answer),
    Stream(StreamOf, Direction),
}

/// What is known at once.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// The subscription itself is at fault; the error is in its event.
    Error(Errno),
    /// A file or a directory: never waits. The number is how many bytes are left to read.
    Bytes(u64),
}

/// A descriptor that is a stream, held for the length of the poll: closing its number meanwhile
/// does not end the wait.
pub(crate) struct StreamOf(HeldDescriptor);

impl StreamOf {
    /// `descriptor` is one that has been recognised as a stream.
    pub(crate) fn new(descriptor: HeldDescriptor) -> Self {
        Self(descriptor)
    }

    pub(crate) fn get(&self) -> &GuestStream {
        match self.0.kind() {
            Ok(Kind::Stream(stream)) => stream,
            // A descriptor recognised as a stream stays one, and is not asked again.
            _ => unreachable!("made of streams only"),
        }
    }
}

/// What one poll is about.
pub(crate) struct Subscriptions {
    all: SmallVec<[Subscribed; 4]>,
    /// What they have of the budget.
    _kept: Option<TakenBytes>,
}

impl Deref for Subscriptions {
    type Target = [Subscribed];

    fn deref(&self) -> &[Subscribed] {
        &self.all
    }
}

impl Subscriptions {
    pub(crate) fn new(all: SmallVec<[Subscribed; 4]>, kept: Option<TakenBytes>) -> Self {
        Self { all, _kept: kept }
    }

    /// The error of the first subscription, if every one of them is at fault.
    pub(crate) fn common_fault(&self) -> Option<Errno> {
        let mut faults = self.iter().map(|one| match one.trigger {
            Trigger::Known(Answer::Error(errno)) => Some(errno),
            _ => None,
        });
        let first = faults.next()??;
        faults.all(|fault| fault.is_some()).then_some(first)
    }
}
