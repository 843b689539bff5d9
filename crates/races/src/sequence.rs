//! Races of sequence locks, as far as accesses show them.
//!
//! A reader looks at a word by an atomic, reads data that is no atomic, and looks at the word
//! again. A writer changes the word by an atomic, writes the data, and changes the word again. The
//! two race. A reader that compares the two values of the word discards what was written meanwhile.
//! So a pair of places is taken for a sequence lock's by the atomics right before and right after
//! the two accesses. Each time that the pair raced, all four must have been of one word, the
//! reader's reads, and the writer's writes.

use std::collections::{HashMap, VecDeque};

use crate::race::{AccessKind, Place, Race, Side};

/// Atomics of a thread that are remembered.
const REMEMBERED: usize = 16;
/// The bits of a number that entries keep.
const NUMBER: u64 = (1 << 40) - 1;

/// An atomic access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    address: u64,
    writes: bool,
}

/// The last atomics of a thread.
#[derive(Debug, Default)]
pub(crate) struct AtomicLog {
    /// With their numbers, oldest first.
    last: VecDeque<(u64, Look)>,
    /// Whether there were more.
    more: bool,
    /// Pairs of places for which the next one must be this.
    open: Vec<((Place, Place), Look)>,
}

/// The atomics right before and right after an access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Around {
    /// They are forgotten.
    Unknown,
    /// Not of the same word, or of different kinds; or there was none before.
    Apart,
    /// The one before; that after it was the same, or is to come.
    Within { look: Look, closed: bool },
}

impl AtomicLog {
    /// Records an atomic. Returns the pairs of places that expected another one.
    pub(crate) fn push(
        &mut self,
        number: u64,
        address: u64,
        kind: AccessKind,
    ) -> Vec<(Place, Place)> {
        let look = Look {
            address,
            writes: kind.writes(),
        };
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
            self.more = true;
        }
        self.last.push_back((number & NUMBER, look));
        let open = std::mem::take(&mut self.open).into_iter();
        let others = open.filter(|(_, before)| *before != look);
        others.map(|(places, _)| places).collect()
    }

    /// The pairs of places for which there should have been one more.
    pub(crate) fn end(&mut self) -> Vec<(Place, Place)> {
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|(places, _)| places).collect()
    }

    /// The atomics around the thread's access of this number.
    pub(crate) fn around(&self, number: u64) -> Around {
        let behind = self.last.partition_point(|(at, _)| *at <= number & NUMBER);
        let before = behind.checked_sub(1).map(|at| self.last[at].1);
        match (before, self.last.get(behind)) {
            (None, _) if self.more => Around::Unknown,
            (None, _) => Around::Apart,
            (Some(look), None) => Around::Within {
                look,
                closed: false,
            },
            (Some(look), Some((_, after))) if look == *after => {
                Around::Within { look, closed: true }
            }
            _ => Around::Apart,
        }
    }

    /// The next atomic must be this, if it is one that comes after a race of these places.
    pub(crate) fn open(&mut self, places: (Place, Place), look: Look) {
        if !self.open.contains(&(places, look)) {
            self.open.push((places, look));
        }
    }
}

/// What was seen of a pair of places.
#[derive(Clone, Copy, Debug, Default)]
struct Evidence {
    /// The word of the last race that looked like one of a sequence lock.
    word: Option<u64>,
    /// Whether one did not.
    against: bool,
}

/// What was seen of all pairs of places that raced.
#[derive(Debug, Default)]
pub(crate) struct Sequences {
    seen: HashMap<(Place, Place), Evidence>,
}

impl Sequences {
    /// The word of the sequence lock that these places seem to be about.
    pub(crate) fn word(&self, places: (Place, Place)) -> Option<u64> {
        let evidence = self.seen.get(&places)?;
        evidence.word.filter(|_| !evidence.against)
    }

    /// These are none of a sequence lock.
    pub(crate) fn refuse(&mut self, places: impl IntoIterator<Item = (Place, Place)>) {
        for places in places {
            self.seen.entry(places).or_default().against = true;
        }
    }

    /// Records a race, with the atomics around the current access and around the previous one.
    /// Returns whether it looks like a sequence lock's. If so, those that are not closed are to be
    /// [opened](AtomicLog::open).
    pub(crate) fn see(&mut self, race: &Race, around: [Around; 2]) -> bool {
        let places = race.places();
        let sides = [&race.current, &race.previous];
        let one_reads = matches!(
            sides.map(|side| side.kind),
            [AccessKind::Read, AccessKind::Write] | [AccessKind::Write, AccessKind::Read]
        );
        let fits = |(side, around): (&&Side, &Around)| match around {
            Around::Within { look, .. } => look.writes == side.kind.writes(),
            Around::Unknown => true,
            Around::Apart => false,
        };
        if !one_reads || !sides.iter().zip(&around).all(fits) {
            self.refuse([places]);
            return false;
        }
        let [
            Around::Within { look: one, .. },
            Around::Within { look: other, .. },
        ] = around
        else {
            // Nothing is known of this one.
            return false;
        };
        if one.address != other.address {
            self.refuse([places]);
            return false;
        }
        self.seen.entry(places).or_default().word = Some(one.address);
        true
    }
}
