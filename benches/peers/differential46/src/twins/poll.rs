//! `poll_oneoff`: on what is ready, with a clock that is not, and on a clock alone.

use super::layout::{EVENTS, OUT, SUBSCRIPTIONS};
use super::table::Open;
use super::{OK, Outcome, Twins};
use crate::known::Kind;
use crate::side::Arg::I;
use crate::side::Side;
use std::collections::BTreeMap;

impl Twins {
    pub(super) fn poll(&mut self, on: &[(u8, bool)]) -> Outcome {
        let mut ready = Vec::new();
        for (fd, write) in on {
            let open = self.get(*fd);
            let is_ready = match (open.kind, write) {
                (Kind::File, _) => true,
                (Kind::Listener, false) => !self.pending.is_empty(),
                (Kind::Socket, true) => true,
                (Kind::Socket, false) => {
                    let socket = &self.sockets[open.socket];
                    socket.waiting != 0 || socket.finished
                }
                // On its own: the error is that of the whole call on both sides.
                (Kind::Dir | Kind::Closed, _) => on.len() == 1,
                // Not compared: see `known::NOT_COMPARED`.
                (Kind::Input | Kind::Output, _) | (Kind::Listener, true) => false,
            };
            if is_ready {
                ready.push((open, *write));
            }
        }
        self.poll_now(&ready)
    }

    /// Polls what is ready, with a clock that is not.
    pub(super) fn poll_now(&mut self, on: &[(Open, bool)]) -> Outcome {
        if on.is_empty() {
            return Ok(());
        }
        let alone = matches!(on, [(open, _)] if matches!(open.kind, Kind::Dir | Kind::Closed));
        let mut subscriptions = [Vec::new(), Vec::new()];
        for (user, (open, write)) in (1u8..).zip(on) {
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
            clock[0] = 99;
            clock[16] = 1;
            clock[24..32].copy_from_slice(&5_000_000_000u64.to_le_bytes());
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
            let (ours, theirs) = (self.events(&self.ours, on), self.events(&self.theirs, on));
            if ours != theirs || ours.len() != on.len() {
                return Err(format!(
                    "events {ours:?}, the peer's {theirs:?} (number: type, error, bytes, flags)"
                ));
            }
        }
        self.clear(EVENTS, 32 * count as usize);
        self.clear(OUT, 4);
        Ok(())
    }

    /// The events of a poll by the number of their subscription, as far as they are compared.
    fn events(&self, side: &Side, on: &[(Open, bool)]) -> BTreeMap<u64, (u8, u16, u64, u16)> {
        let mut all = BTreeMap::new();
        for bytes in side.read(EVENTS, 32 * side.u32(OUT)).chunks_exact(32) {
            let number = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes"));
            let word = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
            let mut count = u64::from_le_bytes(bytes[16..24].try_into().expect("eight bytes"));
            let mut flags = word(24);
            let subscription = usize::try_from(number)
                .ok()
                .and_then(|n| on.get(n.wrapping_sub(1)));
            if let Some((open, write)) = subscription {
                let finished = open.kind == Kind::Socket && self.sockets[open.socket].finished;
                if *write || open.kind == Kind::File {
                    count = 0;
                }
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
        subscription[40] = (absolute).into();
        self.write(SUBSCRIPTIONS, &subscription);
        self.alike("poll_oneoff", &[I(SUBSCRIPTIONS), I(EVENTS), I(1), I(OUT)])?;
        self.compare_memory()?;
        self.clear(SUBSCRIPTIONS, 48);
        self.clear(EVENTS, 32);
        Ok(())
    }
}
