//! Shadow memory: which thread has accessed what.

mod cell;
mod entry;
mod page;

use std::collections::HashMap;

use crate::hash::Mixing;
use cell::Cell;
use page::{CELL, PAGE, Page};

pub(crate) use entry::{Entry, Kind};

/// The accesses of all memory, with a bound.
#[derive(Debug)]
pub(crate) struct Shadow {
    /// Where in the list the page of an address is.
    index: HashMap<u64, usize, Mixing>,
    pages: Vec<Page>,
    /// The page that was used last.
    last: (u64, usize),
    /// Where the next page to be forgotten is looked for.
    hand: usize,
    bytes: usize,
    most_bytes: usize,
    most_accesses: usize,
    pub(crate) pages_forgotten: u64,
    pub(crate) accesses_forgotten: u64,
}

/// Bytes of one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The cell's address.
    pub(crate) cell: u64,
    /// Which of its bytes.
    pub(crate) mask: u8,
}

impl Shadow {
    pub(crate) fn new(most_bytes: usize, most_accesses: usize) -> Self {
        Self {
            index: HashMap::default(),
            pages: Vec::new(),
            last: (u64::MAX, 0),
            hand: 0,
            bytes: 0,
            most_bytes,
            most_accesses: most_accesses.max(4),
            pages_forgotten: 0,
            accesses_forgotten: 0,
        }
    }

    /// What it takes, about.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds an access of the bytes from `begin` to `end`. `entry` makes what is kept of it, for
    /// these bytes of a cell. `judge` gets the cell's address and each earlier access that shares
    /// bytes with this one, and says whether it happens before.
    pub(crate) fn add(
        &mut self,
        begin: u64,
        end: u64,
        entry: impl Fn(u8) -> Entry,
        mut judge: impl FnMut(u64, Entry) -> bool,
    ) {
        let most = self.most_accesses;
        if let Some((page, piece, cell)) = self.single(begin, end) {
            let had = cell.spilled();
            let forgotten = cell.add(entry(piece.mask), most, |old| judge(piece.cell, old));
            let has = cell.spilled();
            self.bytes = self.bytes + has - had;
            self.accesses_forgotten += forgotten as u64;
            self.shrink(page);
            return;
        }
        self.visit(begin, end, &mut |piece, cell| {
            cell.add(entry(piece.mask), most, |old| judge(piece.cell, old))
        });
    }

    /// Adds an access that its thread has made before, of bytes of one cell, if it can race with
    /// none. Returns whether that was so. If not, it is to be [added](Self::add).
    pub(crate) fn repeat(&mut self, begin: u64, end: u64, entry: impl Fn(u8) -> Entry) -> bool {
        let single = self.single(begin, end);
        single.is_some_and(|(_, piece, cell)| cell.repeat(entry(piece.mask)))
    }

    /// Where the page of these bytes is, and their cell, if that is one which is apart from others.
    fn single(&mut self, begin: u64, end: u64) -> Option<(usize, Piece, &mut Cell)> {
        if end <= begin || begin / CELL != (end - 1) / CELL {
            return None;
        }
        let index = self.page(begin / PAGE);
        let page = &mut self.pages[index];
        page.used = true;
        let cell = page.own_cell(begin % PAGE)?;
        Some((index, piece(begin, end), cell))
    }

    /// The bytes from `begin` to `end` were not accessed.
    pub(crate) fn forget(&mut self, begin: u64, end: u64) {
        self.visit(begin, end, &mut |piece, cell| {
            cell.forget(piece.mask);
            0
        });
    }

    /// What is kept of the cell that an address is in.
    #[cfg(test)]
    pub(crate) fn entries(&mut self, address: u64) -> Vec<Entry> {
        let page = self.page(address / PAGE);
        self.pages[page].cell(address % PAGE).entries().collect()
    }

    /// Has `f` look at each piece of the bytes; it gives how many accesses it has forgotten.
    fn visit(&mut self, begin: u64, end: u64, f: &mut dyn FnMut(Piece, &mut Cell) -> usize) {
        let mut at = begin;
        while at < end {
            let number = at / PAGE;
            let index = self.page(number);
            let page = &mut self.pages[index];
            page.used = true;
            let base = number * PAGE;
            // The last page ends beyond the last address.
            let until = end.min(base.saturating_add(PAGE));
            let mut forgotten = 0;
            if at == base && until - at == PAGE {
                let (had, spilled) = (page.bytes(), page.spilled());
                page.every(|offset, cell| {
                    let cell_at = base + offset;
                    let piece = Piece {
                        cell: cell_at,
                        mask: 0xff,
                    };
                    forgotten += f(piece, cell);
                });
                self.bytes += page.bytes() + page.spilled();
                self.bytes -= had + spilled;
                at = until;
            } else {
                let had = page.bytes() + if page.is_apart() { 0 } else { page.spilled() };
                let is_new = !page.is_apart();
                let mut grown = 0;
                let mut shrunk = 0;
                while at < until {
                    let piece = piece(at, until);
                    let cell = page.cell(piece.cell - base);
                    let spilled = cell.spilled();
                    forgotten += f(piece, cell);
                    grown += cell.spilled();
                    shrunk += spilled;
                    at = piece.cell.saturating_add(CELL).min(until);
                }
                if is_new {
                    self.bytes += page.bytes() + page.spilled();
                    self.bytes -= had;
                } else {
                    self.bytes += grown;
                    self.bytes -= shrunk;
                }
            }
            self.accesses_forgotten += forgotten as u64;
            self.shrink(index);
        }
    }

    /// Where in the list the page with this number is.
    fn page(&mut self, number: u64) -> usize {
        if self.last.0 == number {
            return self.last.1;
        }
        let index = *self.index.entry(number).or_insert_with(|| {
            let page = Page::new();
            self.bytes += page.bytes();
            self.pages.push(page);
            self.pages.len() - 1
        });
        self.last = (number, index);
        index
    }

    /// Forgets pages until there is room, but not this one.
    fn shrink(&mut self, kept: usize) {
        // Twice around: the first takes the marks away.
        let mut looks = 2 * self.pages.len();
        while self.bytes > self.most_bytes && looks > 0 {
            looks -= 1;
            self.hand = (self.hand + 1) % self.pages.len();
            let page = &mut self.pages[self.hand];
            if self.hand == kept || std::mem::take(&mut page.used) {
                continue;
            }
            let had = page.bytes() + page.spilled();
            if page.forget() {
                self.pages_forgotten += 1;
            }
            self.bytes = self.bytes + page.bytes() - had;
        }
    }
}

/// The bytes from `at` on of the cell they are in, up to `end`, which is behind them.
fn piece(at: u64, end: u64) -> Piece {
    let cell = at / CELL * CELL;
    let from = at - cell;
    let to = (end - cell).min(CELL);
    let mask = (0xff_u16 << from) & (0xff_u16 >> (CELL - to));
    Piece {
        cell,
        mask: mask as u8,
    }
}

#[cfg(test)]
mod tests;
