//! An access as it is kept: 16 bytes.

use crate::clock::Epoch;
use crate::race::{AccessKind, Place};

/// The part of an access's kind that counts later. An update is kept as a write: it has read before
/// that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read = 0,
    Write = 1,
    AtomicRead = 2,
    AtomicWrite = 3,
    AtomicUpdate = 4,
    Free = 5,
}

impl Kind {
    pub(crate) fn of(kind: AccessKind) -> Self {
        match kind {
            AccessKind::Read => Self::Read,
            AccessKind::Write => Self::Write,
            AccessKind::AtomicRead => Self::AtomicRead,
            AccessKind::AtomicWrite => Self::AtomicWrite,
            AccessKind::AtomicUpdate => Self::AtomicUpdate,
            AccessKind::Free => Self::Free,
        }
    }

    pub(crate) fn access(self) -> AccessKind {
        match self {
            Self::Read => AccessKind::Read,
            Self::Write => AccessKind::Write,
            Self::AtomicRead => AccessKind::AtomicRead,
            Self::AtomicWrite => AccessKind::AtomicWrite,
            Self::AtomicUpdate => AccessKind::AtomicUpdate,
            Self::Free => AccessKind::Free,
        }
    }

    /// Whether the two race if nothing orders them.
    pub(crate) fn conflicts(self, other: Self) -> bool {
        let (one, other) = (self.access(), other.access());
        (one.writes() || other.writes()) && !(one.is_atomic() && other.is_atomic())
    }

    /// Whether whatever races with an earlier `other` races with this, too, so that the other need
    /// not be kept.
    pub(crate) fn stands_for(self, other: Self) -> bool {
        match self {
            Self::Write | Self::Free => true,
            Self::Read => matches!(other, Self::Read | Self::AtomicRead),
            Self::AtomicWrite | Self::AtomicUpdate => other.access().is_atomic(),
            Self::AtomicRead => other == Self::AtomicRead,
        }
    }
}

const TIME_BITS: u32 = 39;
const MOST_TIME: u64 = (1 << TIME_BITS) - 1;
const NUMBER_BITS: u32 = 40;

/// Which thread accessed which of 8 bytes, when, how and where. An entry without bytes stands for
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    /// From the low end: 8 bits of bytes, 3 of the kind, 14 of the slot, 39 of the time.
    who: u64,
    /// From the low end: 24 bits of the place, 40 of the number.
    what: u64,
}

impl Entry {
    pub(crate) fn new(epoch: Epoch, kind: Kind, mask: u8, place: Place, number: u64) -> Self {
        // A thread that releases more often stays at this time, so what it does after that looks
        // ordered to each thread that has seen the time. 2^39 releases take days.
        let time = epoch.time.min(MOST_TIME);
        Self {
            who: u64::from(mask) | (kind as u64) << 8 | u64::from(epoch.slot) << 11 | time << 25,
            what: u64::from(place.get()) | number << 24,
        }
    }

    pub(crate) fn mask(self) -> u8 {
        self.who as u8
    }

    pub(crate) fn kind(self) -> Kind {
        match (self.who >> 8) & 7 {
            0 => Kind::Read,
            1 => Kind::Write,
            2 => Kind::AtomicRead,
            3 => Kind::AtomicWrite,
            4 => Kind::AtomicUpdate,
            _ => Kind::Free,
        }
    }

    pub(crate) fn epoch(self) -> Epoch {
        Epoch {
            slot: ((self.who >> 11) & 0x3fff) as u16,
            time: self.who >> 25,
        }
    }

    pub(crate) fn place(self) -> Place {
        Place::of_bits(self.what)
    }

    pub(crate) fn number(self) -> u64 {
        self.what >> (64 - NUMBER_BITS)
    }

    /// Without these bytes; one that has no others is none, whatever it was.
    pub(crate) fn without(self, mask: u8) -> Self {
        let who = self.who & !u64::from(mask);
        match who as u8 {
            0 => Self::default(),
            _ => Self { who, ..self },
        }
    }

    /// What is kept if this access is made again, by the same thread at the same time and place;
    /// `None` for another access.
    pub(crate) fn again(self, new: Self) -> Option<Self> {
        let both = self.merged(new)?;
        (both.who == self.who).then_some(both)
    }

    /// With the bytes of a later one, where the two are else the same but for their numbers; the
    /// later one's number is kept.
    pub(crate) fn merged(self, other: Self) -> Option<Self> {
        let place = u64::from(Place::MAX);
        let alike = self.who >> 8 == other.who >> 8 && self.what & place == other.what & place;
        alike.then_some(Self {
            who: self.who | u64::from(other.mask()),
            ..other
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, Kind};
    use crate::clock::Epoch;
    use crate::race::Place;

    const ALL: [Kind; 6] = [
        Kind::Read,
        Kind::Write,
        Kind::AtomicRead,
        Kind::AtomicWrite,
        Kind::AtomicUpdate,
        Kind::Free,
    ];

    #[test]
    fn what_was_put_in_comes_out() {
        for kind in ALL {
            for (slot, time, mask, place, number) in [
                (0, 1, 1, 0, 0),
                (0x3fff, (1 << 39) - 1, 0xff, Place::MAX, (1 << 40) - 1),
                (5, 77, 0x30, 12, 34),
            ] {
                let place = Place::new(place).unwrap();
                let entry = Entry::new(Epoch { slot, time }, kind, mask, place, number);
                assert_eq!(entry.epoch(), Epoch { slot, time });
                assert_eq!((entry.kind(), entry.mask()), (kind, mask));
                assert_eq!((entry.place(), entry.number()), (place, number));
                assert_eq!(entry.without(mask).mask(), 0);
            }
        }
    }

    #[test]
    fn one_stands_for_another_if_it_conflicts_with_as_much() {
        for one in ALL {
            for other in ALL {
                let as_much = |third: &Kind| !other.conflicts(*third) || one.conflicts(*third);
                assert_eq!(
                    one.stands_for(other),
                    ALL.iter().all(as_much),
                    "{one:?} {other:?}"
                );
            }
        }
    }
}
