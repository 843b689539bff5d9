//! The accesses of 8 bytes.

use crate::shadow::entry::{Entry, Kind};

/// The threads that have accessed 8 bytes, as far as it can matter. Most have one reader and one
/// writer at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    first: [Entry; 2],
    /// Those beyond the first two, oldest first. One allocation where it is needed, eight bytes
    /// where it is not.
    #[expect(
        clippy::box_collection,
        reason = "a `Vec` has 24 bytes, and most cells have none"
    )]
    more: Option<Box<Vec<Entry>>>,
}

impl Cell {
    #[cfg(test)]
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let more = self.more.iter().flat_map(|more| more.iter());
        let all = self.first.iter().chain(more).copied();
        all.filter(|entry| entry.mask() != 0)
    }

    /// Adds an access. `judge` is asked about each earlier one that shares bytes with it, and says
    /// whether that one happens before. Returns how many were forgotten because `most` are kept
    /// already.
    pub(crate) fn add(
        &mut self,
        new: Entry,
        most: usize,
        mut judge: impl FnMut(Entry) -> bool,
    ) -> usize {
        let mut merged = false;
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut());
        for old in self.first.iter_mut().chain(more) {
            if old.mask() & new.mask() != 0 && judge(*old) && new.kind().stands_for(old.kind()) {
                // The same access again.
                match old.merged(new) {
                    Some(both) if !merged => {
                        *old = both;
                        merged = true;
                        continue;
                    }
                    _ => *old = old.without(new.mask()),
                }
            }
            if old.mask() != 0
                && !merged
                && let Some(both) = old.merged(new)
            {
                *old = both;
                merged = true;
            }
        }
        let mut forgotten = 0;
        if let Some(more) = &mut self.more {
            more.retain(|entry| entry.mask() != 0);
            // Two are in front, and one comes.
            let most = most.saturating_sub(3).max(1);
            if more.len() > most {
                forgotten = more.len() - most;
                more.drain(..forgotten);
            }
        }
        if !merged {
            self.put(new);
        }
        if self.more.as_ref().is_some_and(|more| more.is_empty()) {
            self.more = None;
        }
        forgotten
    }

    /// Adds an access that its thread has made before, if it can race with none that is kept. The
    /// result is that of [`add`](Self::add), but for accesses that would not be kept any more.
    pub(crate) fn repeat(&mut self, new: Entry) -> bool {
        if self.more.is_some() {
            return false;
        }
        for (at, other) in [(0, 1), (1, 0)] {
            let other = self.first[other];
            let alone = other.mask() == 0;
            let reads = new.kind() == Kind::Read && other.kind() == Kind::Read;
            if let Some(both) = self.first[at].again(new)
                && (alone || reads)
            {
                self.first[at] = both;
                return true;
            }
        }
        false
    }

    fn put(&mut self, new: Entry) {
        match self.first.iter_mut().find(|entry| entry.mask() == 0) {
            Some(free) => *free = new,
            None => self.more.get_or_insert_default().push(new),
        }
    }

    /// These bytes were not accessed.
    pub(crate) fn forget(&mut self, mask: u8) {
        let more = self.more.iter_mut().flat_map(|more| more.iter_mut());
        for entry in self.first.iter_mut().chain(more) {
            *entry = entry.without(mask);
        }
        if let Some(more) = &mut self.more {
            more.retain(|entry| entry.mask() != 0);
            if more.is_empty() {
                self.more = None;
            }
        }
    }

    /// The bytes it takes, without itself.
    pub(crate) fn spilled(&self) -> usize {
        let of = |more: &Vec<Entry>| size_of::<Vec<Entry>>() + more.capacity() * size_of::<Entry>();
        self.more.as_deref().map_or(0, of)
    }
}
