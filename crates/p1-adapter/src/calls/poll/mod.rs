//! `poll_oneoff`: what is subscribed to ([`subscribe`]), one [`wait`], what is reported
//! ([`report`]).

mod report;
mod subscribe;
mod wait;

use crate::abi::error::Result;
use crate::abi::types::{Errno, Event, Size, Subscription};
use crate::call::Call;
use crate::call::subscriptions::Subscriptions;
use smallvec::SmallVec;
use std::ops::Deref;
use std::sync::Arc;
use wiggle::{GuestError, GuestMemory, GuestPtr};

/// How subscriptions lie in the guest's memory.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) size: u32,
    pub(crate) read: fn(&GuestMemory<'_>, u32) -> Result<Subscription, GuestError>,
}

impl Layout {
    /// preview1's.
    pub(crate) const PREVIEW1: Self = Self {
        size: 48,
        read: |memory, at| memory.read(GuestPtr::new(at)),
    };
}

/// Waits until at least one subscription has something to report, and writes an event for each that
/// has, in the order of the subscriptions.
///
/// All subscriptions are read, once, before the wait; the events are written after it. A
/// subscription that the call cannot wait for (a number that is not open, a direction the stream
/// does not have, a right given up) is reported at once, as an event with that error next to the
/// others. (A file is ready in both directions, whatever it was opened for.) If every subscription
/// is like that, the call itself fails with the first one's error. So a program that polls one
/// descriptor and does not look into events still learns of it, as it does from wasmtime-wasi.
///
/// `inval` without subscriptions: that would be a wait for nothing.
pub(crate) fn oneoff(
    call: &mut Call<'_>,
    memory: &mut GuestMemory<'_>,
    subscriptions: u32,
    events: GuestPtr<Event>,
    count: Size,
    layout: Layout,
) -> Result<Size> {
    if count == 0 {
        return Err(Errno::Inval.into());
    }
    call.pay_for::<Event>(count)?;
    let retried = call.retry.as_mut().and_then(|retry| retry.poll.take());
    let subscribed = match retried {
        Some(subscribed) => PollOf::Kept(subscribed),
        None => PollOf::New(subscribe::all(call, memory, subscriptions, count, layout)?),
    };
    if let Some(errno) = subscribed.common_fault() {
        return Err(errno.into());
    }
    let mut waiting = wait::Waiting::on(&subscribed);
    loop {
        let clocks = &call.shared.clocks;
        match (clocks.source(), &call.retry) {
            (Some(source), _) => waiting.sleep_by(source, &call.shared.end)?,
            (None, Some(_)) => waiting.look(&call.shared.end)?,
            (None, None) => waiting.wait(&call.shared.end)?,
        }
        let found: SmallVec<[Event; 4]> = report::events(&subscribed, &waiting, clocks).collect();
        if found.is_empty() {
            if let (Some(retry), None) = (&mut call.retry, clocks.source()) {
                drop(waiting);
                let kept = subscribed.keep();
                retry.poll = Some(Arc::clone(&kept));
                return Err(retry.wait_for(Box::pin(wait::one_of(kept))));
            }
            // A clock that was set may have ended the wait early, or nothing came in this round.
            continue;
        }
        let reported = Size::try_from(found.len())?;
        for (event, slot) in found.into_iter().zip(events.as_array(reported).iter()) {
            memory.write(slot?, event)?;
        }
        return Ok(reported);
    }
}

/// What a poll is about: only one that gives its thread back keeps it.
#[allow(
    clippy::large_enum_variant,
    reason = "one on the stack for each poll, and nothing allocated"
)]
enum PollOf {
    New(Subscriptions),
    Kept(Arc<Subscriptions>),
}

impl PollOf {
    fn keep(self) -> Arc<Subscriptions> {
        match self {
            Self::New(subscribed) => Arc::new(subscribed),
            Self::Kept(subscribed) => subscribed,
        }
    }
}

impl Deref for PollOf {
    type Target = Subscriptions;

    fn deref(&self) -> &Subscriptions {
        match self {
            Self::New(subscribed) => subscribed,
            Self::Kept(subscribed) => subscribed,
        }
    }
}
