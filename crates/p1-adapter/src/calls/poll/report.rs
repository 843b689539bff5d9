//! The events of a poll.

use super::wait::Waiting;
use crate::abi::types::{Errno, Event, EventFdReadwrite, Eventrwflags};
use crate::blocking::Direction;
use crate::call::subscriptions::{Answer, Subscribed, Trigger};
use crate::ctx::clocks::Clocks;

/// One event for each subscription that is ready, in order.
///
/// `nbytes` is what can be read now, as far as the host can say: the rest of a file, or what lies
/// in a pipe. It is 0 for `/dev/zero` and the files of `/proc`, which have no size, and at a file's
/// end, which is read without waiting. For writing there is no such number, and it is 1. A stream
/// is flagged as hung up if `poll(2)` says so: a pipe without its other side, a socket that is shut
/// in both directions. A stream without a peer is never flagged. (A socket that the peer has shut
/// in one direction is ready to read, and reads the end.)
pub(super) fn events<'a>(
    subscribed: &'a [Subscribed],
    waiting: &'a Waiting<'_>,
    clocks: &'a Clocks,
) -> impl Iterator<Item = Event> + 'a {
    subscribed
        .iter()
        .enumerate()
        .filter_map(|(index, subscription)| {
            let nothing = Eventrwflags::empty();
            let (error, nbytes, flags) = match &subscription.trigger {
                Trigger::Clock(due) if clocks.is_due(due) => (Errno::Success, 0, nothing),
                Trigger::Clock(_) => return None,
                Trigger::Known(Answer::Error(errno)) => (*errno, 0, nothing),
                Trigger::Known(Answer::Bytes(bytes)) => (Errno::Success, *bytes, nothing),
                Trigger::Stream(stream, direction) => {
                    let found = waiting.found(index);
                    if !found.ready {
                        return None;
                    }
                    let bytes = match direction {
                        Direction::Read => stream.get().readable_bytes(),
                        Direction::Write => 1,
                    };
                    (Errno::Success, bytes, hangup(found.hangup))
                }
            };
            Some(Event {
                userdata: subscription.userdata,
                error,
                type_: subscription.kind,
                fd_readwrite: EventFdReadwrite { nbytes, flags },
            })
        })
}

fn hangup(gone: bool) -> Eventrwflags {
    if gone {
        Eventrwflags::FD_READWRITE_HANGUP
    } else {
        Eventrwflags::empty()
    }
}
