//! The guest's subscriptions, copied out and understood.

use super::Layout;
use crate::abi::error::{Error, Result};
use crate::abi::types::{Errno, Event, Eventtype, Subclockflags, Subscription, SubscriptionU};
use crate::abi::types::{Fd, Rights};
use crate::blocking::Direction;
use crate::budget::TakenBytes;
use crate::call::Call;
use crate::call::subscriptions::{Answer, StreamOf, Subscribed, Subscriptions, Trigger};
use crate::descriptor::Kind;
use smallvec::SmallVec;
use wiggle::{GuestError, GuestMemory};

/// What one subscription makes the host keep, at most: itself, its place and its interest in a
/// wait, its entry for `poll(2)`, a waiter of an embedder's stream or of a task, and its event.
const KEPT: usize = size_of::<Subscribed>() + size_of::<Event>() + 200;

/// Reads every subscription. Fuel is paid for what the guest has written and for what is kept of
/// it.
///
/// `inval` for a clock that cannot be waited for or a tag that is none: those are faults of the
/// call.
pub(super) fn all(
    call: &mut Call<'_>,
    memory: &GuestMemory<'_>,
    subscriptions: u32,
    count: u32,
    layout: Layout,
) -> Result<Subscriptions> {
    call.pay(count as usize * (layout.size as usize + KEPT))?;
    let kept = match &call.shared.budget {
        None => None,
        Some(budget) => {
            let bytes = count as u64 * KEPT as u64;
            Some(TakenBytes::of(budget, bytes).ok_or(Errno::Nomem)?)
        }
    };
    // What the guest says is not taken at its word: it is yet to be read.
    let mut all = SmallVec::with_capacity(count.min(1024) as usize);
    for i in 0..count {
        let at = i
            .checked_mul(layout.size)
            .and_then(|offset| subscriptions.checked_add(offset));
        let at = at.ok_or(GuestError::PtrOverflow)?;
        let Subscription { userdata, u } = (layout.read)(memory, at)?;
        let (kind, trigger) = match u {
            SubscriptionU::Clock(clock) => {
                let absolute = clock
                    .flags
                    .contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
                let due = call
                    .shared
                    .clocks
                    .deadline(clock.id, clock.timeout, absolute)?;
                (Eventtype::Clock, Trigger::Clock(due))
            }
            SubscriptionU::FdRead(on) => (
                Eventtype::FdRead,
                trigger(call, on.file_descriptor, Direction::Read)?,
            ),
            SubscriptionU::FdWrite(on) => (
                Eventtype::FdWrite,
                trigger(call, on.file_descriptor, Direction::Write)?,
            ),
        };
        all.push(Subscribed {
            userdata,
            kind,
            trigger,
        });
    }
    Ok(Subscriptions::new(all, kept))
}

fn trigger(call: &Call<'_>, fd: Fd, direction: Direction) -> Result<Trigger> {
    match try_trigger(call, fd, direction) {
        Err(Error::Errno(errno)) => Ok(Trigger::Known(Answer::Error(errno))),
        other => other,
    }
}

fn try_trigger(call: &Call<'_>, fd: Fd, direction: Direction) -> Result<Trigger> {
    let entry = call.fd(fd)?;
    entry.allow(Rights::POLL_FD_READWRITE)?;
    // A guest may not wait for what it may not do (witx, `poll_fd_readwrite`).
    let transfer = match direction {
        Direction::Read => Rights::FD_READ,
        Direction::Write => Rights::FD_WRITE,
    };
    match entry.kind()? {
        // Never waits, and has no bytes.
        Kind::Dir(_) | Kind::MadeFolder(_) => Ok(Trigger::Known(Answer::Bytes(0))),
        Kind::File(file) => {
            entry.allow(transfer)?;
            Ok(Trigger::Known(Answer::Bytes(match direction {
                Direction::Write => {
                    // As wasmtime-wasi has it, which looks at the permissions and not at the mode.
                    file.check_perms()?;
                    1
                }
                Direction::Read => file.bytes_left()?,
            })))
        }
        Kind::MadeFile(file) => {
            entry.allow(transfer)?;
            Ok(Trigger::Known(Answer::Bytes(match direction {
                Direction::Write => {
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
            call.meet_stream(stream)?;
            if call.shared.hooks.whole_reads && stream.is_whole() {
                return Ok(Trigger::Known(Answer::Bytes(1)));
            }
            Ok(Trigger::Stream(StreamOf::new(entry.keep()), direction))
        }
    }
}
