//! The accesses of 4 KiB.

use crate::shadow::cell::Cell;

/// The bytes of a cell.
pub(crate) const CELL: u64 = 8;
/// The bytes of a page.
pub(crate) const PAGE: u64 = 4096;
const CELLS: usize = (PAGE / CELL) as usize;

/// The accesses of 4 KiB: the same for all of them, as after a fill, or for each 8 bytes their own.
#[derive(Debug)]
pub(crate) struct Page {
    /// Whether it was used since the last look for one that was not.
    pub(crate) used: bool,
    cells: Cells,
}

#[derive(Debug)]
enum Cells {
    Alike(Cell),
    Each(Box<[Cell]>),
}

impl Page {
    pub(crate) fn new() -> Self {
        Self {
            used: true,
            cells: Cells::Alike(Cell::default()),
        }
    }

    /// What it takes, without what its cells have spilled.
    pub(crate) fn bytes(&self) -> usize {
        // The list's entry and the map's, too.
        64 + size_of::<Self>()
            + match &self.cells {
                Cells::Alike(_) => 0,
                Cells::Each(cells) => size_of_val(&**cells),
            }
    }

    /// Whether each 8 bytes have their own.
    pub(crate) fn is_apart(&self) -> bool {
        matches!(self.cells, Cells::Each(_))
    }

    /// All that was accessed is forgotten; whether there was anything.
    pub(crate) fn forget(&mut self) -> bool {
        let nothing = Cells::Alike(Cell::default());
        !matches!(std::mem::replace(&mut self.cells, nothing), Cells::Alike(cell) if cell == Cell::default())
    }

    /// What its cells have spilled.
    pub(crate) fn spilled(&self) -> usize {
        match &self.cells {
            Cells::Alike(cell) => cell.spilled(),
            Cells::Each(cells) => cells.iter().map(Cell::spilled).sum(),
        }
    }

    /// The cell at this offset, apart from the others.
    pub(crate) fn cell(&mut self, offset: u64) -> &mut Cell {
        if let Cells::Alike(cell) = &self.cells {
            self.cells = Cells::Each(vec![cell.clone(); CELLS].into());
        }
        match &mut self.cells {
            Cells::Each(cells) => &mut cells[(offset / CELL) as usize % CELLS],
            // It was just made.
            Cells::Alike(cell) => cell,
        }
    }

    /// The cell at this offset, if it is apart from the others.
    pub(crate) fn own_cell(&mut self, offset: u64) -> Option<&mut Cell> {
        match &mut self.cells {
            Cells::Each(cells) => cells.get_mut((offset / CELL) as usize),
            Cells::Alike(_) => None,
        }
    }

    /// The same for all cells, with the offset of the one or of the first.
    pub(crate) fn every(&mut self, mut f: impl FnMut(u64, &mut Cell)) {
        match &mut self.cells {
            Cells::Alike(cell) => f(0, cell),
            Cells::Each(cells) => {
                for (at, cell) in cells.iter_mut().enumerate() {
                    f(at as u64 * CELL, cell);
                }
                let (first, others) = (&cells[0], &cells[1..]);
                if others.iter().all(|cell| cell == first) {
                    self.cells = Cells::Alike(first.clone());
                }
            }
        }
    }
}
