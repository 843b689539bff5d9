//! An access against those before it.

use crate::bytes::span;
use crate::clock::Epoch;
use crate::detector::Detector;
use crate::error::EventError;
use crate::race::{Access, AccessKind, Race, Side};
use crate::sequence::Around;
use crate::shadow::{Entry, Kind};

/// What two accesses have in common.
#[derive(Clone, Copy)]
struct Meeting {
    cell: u64,
    previous: Entry,
}

impl Detector {
    /// Whether a plain access is one that its thread has made before, with nothing in between that
    /// orders threads, and can race with none. It is kept then.
    pub(super) fn repeats(&mut self, access: &Access, end: u64) -> Result<bool, EventError> {
        let thread = self.threads.get(access.thread)?;
        let plain = matches!(access.kind, AccessKind::Read | AccessKind::Write);
        if !plain || thread.waits_on.is_some() || thread.reads.is_some() {
            return Ok(false);
        }
        let (epoch, kind) = (thread.epoch(), Kind::of(access.kind));
        let keep = |mask| Entry::new(epoch, kind, mask, access.place, access.number);
        Ok(self.shadow.repeat(access.address, end, keep))
    }

    /// Checks an access against those before it, and keeps it; whether it races.
    pub(super) fn check(&mut self, access: &Access, end: u64) -> Result<bool, EventError> {
        let thread = self.threads.get(access.thread)?;
        let epoch = thread.epoch();
        thread.last_access = epoch.time;
        let clock = &thread.clock;
        let kind = Kind::of(access.kind);
        let keep = |mask| Entry::new(epoch, kind, mask, access.place, access.number);
        let mut meetings: Vec<Meeting> = Vec::new();
        let mut found = 0;
        self.shadow
            .add(access.address, end, keep, |cell, previous| {
                let ordered = clock.covers(previous.epoch());
                if !ordered && kind.conflicts(previous.kind()) {
                    found += 1;
                    // Of a range, each pair of places once.
                    let told = |meeting: &Meeting| meeting.previous.place() == previous.place();
                    if !meetings.iter().any(told) {
                        meetings.push(Meeting { cell, previous });
                    }
                }
                ordered
            });
        self.counts.races += found;
        for meeting in &meetings {
            self.tell(access, epoch, end, *meeting);
        }
        Ok(found > 0)
    }

    /// Keeps a race if it is the first of its pair of places.
    fn tell(&mut self, access: &Access, epoch: Epoch, end: u64, meeting: Meeting) {
        let Meeting { cell, previous } = meeting;
        let from = access.address.max(cell) - cell;
        let to = (end - cell).min(8);
        let mask = ((0xff_u16 << from) & (0xff_u16 >> (8 - to))) as u8;
        let current = self.threads.info(epoch);
        let before = self.threads.info(previous.epoch());
        let (Some(current), Some(before)) = (current, before) else {
            self.counts.races_not_kept += 1;
            return;
        };
        let side = |thread, kind, place, number, mask: u8| {
            let (address, size) = span(cell, mask);
            Side {
                thread,
                kind,
                place,
                number,
                address,
                size,
            }
        };
        let (address, size) = span(cell, mask & previous.mask());
        let race = Race {
            current: side(current, access.kind, access.place, access.number, mask),
            previous: side(
                before,
                previous.kind().access(),
                previous.place(),
                previous.number(),
                previous.mask(),
            ),
            address,
            size,
            block: self.blocks.around(address, &self.threads),
        };
        if let Some(times) = self.known.get_mut(&race.places()) {
            *times += 1;
        } else if self.races.len() < self.limits.races {
            self.known.insert(race.places(), 1);
            self.races.push(race);
        } else {
            self.counts.races_not_kept += 1;
            return;
        }
        self.see_sequence(&race);
    }

    /// Whether it looks like one of a sequence lock.
    fn see_sequence(&mut self, race: &Race) {
        let sides = [&race.current, &race.previous];
        let around = sides.map(|side| self.threads.around(&side.thread, side.number));
        if !self.sequences.see(race, around) {
            return;
        }
        for (side, around) in sides.into_iter().zip(around) {
            if let Around::Within {
                look,
                closed: false,
            } = around
                && let Some(running) = self.threads.running(&side.thread)
            {
                running.atomics.open(race.places(), look);
            }
        }
    }
}
