//! `poll_oneoff`: on descriptors with a clock, and on a clock alone.

use super::layout::{EVENTS, OUT, SUBSCRIPTIONS};
use super::table::Open;
use super::{OK, Outcome, Twins};
use crate::known::Kind;
use crate::op::Fd;
use crate::side::Arg::I;
use crate::side::Side;
use std::collections::BTreeMap;

/// A descriptor in a poll.
pub(super) struct On {
    pub(super) open: Open,
    pub(super) write: bool,
    pub(super) ready: bool,
}

/// What an event says: its type, the error, how many bytes, flags.
type Said = (u8, u16, u64, u16);

/// The number of the clock's subscription.
const CLOCK: u64 = 99;

impl Twins {
    pub(super) fn poll(&mut self, on: &[(Fd, bool)]) -> Outcome {
        let mut all = Vec::new();
        for (fd, write) in on {
            let (open, write) = (self.get(*fd), *write);
            let ready = match (open.kind, write) {
                (Kind::File, _) => true,
                (Kind::Listener, false) => !self.pending.is_empty(),
                (Kind::Socket, true) => true,
                (Kind::Socket, false) => {
                    let socket = &self.sockets[open.socket];
                    socket.waiting != 0 || socket.finished
                }
                // On its own: the error is that of the whole call on both sides.
                (Kind::Dir | Kind::Closed, _) if on.len() == 1 => true,
                // Not compared: see `known::NOT_COMPARED`.
                (Kind::Dir | Kind::Closed | Kind::Input | Kind::Output, _)
                | (Kind::Listener, true) => continue,
            };
            all.push(On { open, write, ready });
        }
        self.poll_on(&all)
    }

    /// With a clock that is late if something is ready, and soon if not.
    pub(super) fn poll_on(&mut self, on: &[On]) -> Outcome {
        if on.is_empty() {
            return Ok(());
        }
        let alone = matches!(on, [one] if matches!(one.open.kind, Kind::Dir | Kind::Closed));
        let mut subscriptions = [Vec::new(), Vec::new()];
        for (user, one) in (1u8..).zip(on) {
            let On { open, write, .. } = one;
            for (bytes, number) in subscriptions.iter_mut().zip([open.ours, open.theirs]) {
                let mut one = [0; 48];
                one[0] = user;
                one[8] = 1 + u8::from(*write);
                one[16..20].copy_from_slice(&number.to_le_bytes());
                bytes.extend(one);
            }
        }
        let mut count = on.len() as u32;
        if !alone {
            let mut clock = [0; 48];
            clock[0] = CLOCK as u8;
            clock[16] = 1;
            let ready = on.iter().any(|one| one.ready);
            let timeout: u64 = if ready { 5_000_000_000 } else { 100_000 };
            clock[24..32].copy_from_slice(&timeout.to_le_bytes());
            subscriptions
                .iter_mut()
                .for_each(|bytes| bytes.extend(clock));
            count += 1;
        }
        let args = [I(SUBSCRIPTIONS), I(EVENTS), I(count), I(OUT)];
        self.ours.write(SUBSCRIPTIONS, &subscriptions[0]);
        self.theirs.write(SUBSCRIPTIONS, &subscriptions[1]);
        let answers = self.alike("poll_oneoff", &args);
        self.clear(SUBSCRIPTIONS, subscriptions[0].len());
        let answers = answers?;
        if answers == OK {
            let (ours, mut theirs) = (self.events(&self.ours, on), self.events(&self.theirs, on));
            // Beyond the end of a file: see `known::NOT_COMPARED`.
            for (_, _, bytes, _) in theirs.values_mut().filter(|said| said.2 > i64::MAX as u64) {
                *bytes = 1;
            }
            let ready = (1u64..).zip(on).filter(|(_, one)| one.ready);
            let mut due: Vec<_> = ready.map(|(number, _)| number).collect();
            if due.is_empty() {
                due.push(CLOCK);
            } else {
                // Not compared: see `known::NOT_COMPARED`.
                theirs.retain(|number, _| due.contains(number) || *number == CLOCK);
            }
            if ours != theirs || !ours.keys().eq(&due) {
                return Err(format!(
                    "events {ours:?}, the peer's {theirs:?} (number: type, error, bytes, flags), due {due:?}"
                ));
            }
        }
        self.clear(EVENTS, 32 * count as usize);
        self.clear(OUT, 4);
        Ok(())
    }

    /// The events of a poll by the number of their subscription, as far as they are compared.
    fn events(&self, side: &Side, on: &[On]) -> BTreeMap<u64, Said> {
        let mut all = BTreeMap::new();
        for bytes in side.read(EVENTS, 32 * side.u32(OUT)).chunks_exact(32) {
            let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let mut count = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
            let mut flags = word(24);
            let subscription = usize::try_from(number)
                .ok()
                .and_then(|n| on.get(n.wrapping_sub(1)));
            if let Some(On { open, write, .. }) = subscription {
                let finished = open.kind == Kind::Socket && self.sockets[open.socket].finished;
                count = if *write { 0 } else { count.max(1) };
                if finished && self.sockets[open.socket].waiting == 0 {
                    count = 0;
                }
                if finished || open.kind == Kind::File {
                    flags = 0;
                }
            }
            all.insert(number, (bytes[10], word(8), count, flags));
        }
        all
    }

    pub(super) fn poll_clock(&mut self, clock: u8, absolute: bool, nanoseconds: u32) -> Outcome {
        // Not compared: see `known::NOT_COMPARED`.
        if matches!(clock, 2 | 3) || (clock == 0 && absolute) {
            return Ok(());
        }
        let mut subscription = [0; 48];
        subscription[0] = 77;
        subscription[16] = clock;
        subscription[24..28].copy_from_slice(&nanoseconds.to_le_bytes());
        subscription[40] = absolute.into();
        self.write(SUBSCRIPTIONS, &subscription);
        self.alike("poll_oneoff", &[I(SUBSCRIPTIONS), I(EVENTS), I(1), I(OUT)])?;
        self.compare_memory()?;
        self.clear(SUBSCRIPTIONS, 48);
        self.clear(EVENTS, 32);
        Ok(())
    }
}
