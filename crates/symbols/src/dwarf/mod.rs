//! Finds the functions, files and lines of places in the code, from debug information (DWARF 2 to
//! 5).
//!
//! For what compilers write, the result is that of `addr2line`, which Wasmtime uses. Unlike
//! `addr2line`, this keeps only what is asked for, does not recurse, and counts every step.

mod files;
mod functions;
mod lines;
mod names;
mod ranges;
mod units;

use std::collections::BTreeMap;

use gimli::Dwarf;

use crate::dwarf::functions::Hit;
use crate::dwarf::lines::{LineTable, Row};
use crate::dwarf::units::Units;
use crate::limits::{Bound, Budget, Stop};
use crate::sections::Slice;

/// A function at a place, as debug information has it. The text is as it was found, at most
/// [`Limits::mangled_bytes`](crate::Limits::mangled_bytes) and one more of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) name: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

/// What was found at places in the code.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// For each place: the innermost inlined function first, the function itself last. Empty if
    /// nothing is known.
    pub(crate) known: Vec<Vec<Known>>,
    /// What was too large, so that something is missing.
    pub(crate) exceeded: Option<Bound>,
}

/// Looks at `places`, counted from the beginning of the code section's contents, ascending and
/// without duplicates.
pub(crate) fn look_up(dwarf: &Dwarf<Slice<'_>>, places: &[u64], budget: &mut Budget) -> Looked {
    let mut looked = Looked {
        known: vec![Vec::new(); places.len()],
        exceeded: None,
    };
    match look(dwarf, places, budget, &mut looked) {
        Err(Stop::Bound(bound)) => looked.exceeded = Some(bound),
        Err(Stop::Wrong) | Ok(()) => {}
    }
    looked
}

fn look(
    dwarf: &Dwarf<Slice<'_>>,
    places: &[u64],
    budget: &mut Budget,
    looked: &mut Looked,
) -> Result<(), Stop> {
    let mut units = Units::new(dwarf, budget)?;
    let candidates = units.candidates(places, budget)?;
    let mut open: Vec<usize> = (0..places.len()).collect();
    // Mostly each place is in one unit. If that knows nothing of it, the next is asked.
    for rank in 0.. {
        let mut by_unit: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for place in std::mem::take(&mut open) {
            if let Some(unit) = candidates[place].get(rank) {
                by_unit.entry(*unit).or_default().push(place);
            }
        }
        if by_unit.is_empty() {
            return Ok(());
        }
        for (unit, of_unit) in by_unit {
            let wanted: Vec<u64> = of_unit.iter().map(|place| places[*place]).collect();
            let found = match look_in_unit(&mut units, unit, &wanted, budget, looked) {
                Ok(found) => found,
                Err(Stop::Wrong) => continue,
                Err(stop) => return Err(stop),
            };
            for (place, known) in of_unit.into_iter().zip(found) {
                match known {
                    Some(known) => looked.known[place] = known,
                    None => open.push(place),
                }
            }
        }
    }
    Ok(())
}

/// What one unit knows of each place; `None` if nothing.
fn look_in_unit(
    units: &mut Units<'_, '_>,
    index: usize,
    places: &[u64],
    budget: &mut Budget,
    looked: &mut Looked,
) -> Result<Vec<Option<Vec<Known>>>, Stop> {
    let unit = units.open(index, budget)?;
    let hits = functions::find(units.dwarf, &unit, places, budget)?;
    let table = match unit.lines {
        Some(offset) => Some(LineTable::parse(units.dwarf, &unit, offset)?),
        None => None,
    };
    let rows = match &table {
        Some(table) => table.rows(places, budget)?,
        None => vec![None; places.len()],
    };
    let mut files = Files {
        table,
        paths: BTreeMap::new(),
    };
    let mut all = Vec::new();
    for (hit, row) in hits.into_iter().zip(rows) {
        all.push(match hit {
            Some(hit) if hit.too_deep => {
                looked.exceeded = Some(Bound::Inlined);
                Some(Vec::new())
            }
            Some(hit) => Some(frames(units, index, hit, row, &mut files, budget)?),
            None => match row {
                Some(row) => Some(vec![files.of_row(row, budget)?]),
                None => None,
            },
        });
    }
    Ok(all)
}

/// A function and what is inlined there, the innermost first: each is at the line where the one
/// before was called.
fn frames<'a>(
    units: &mut Units<'_, 'a>,
    unit: usize,
    hit: Hit<'a>,
    row: Option<Row>,
    files: &mut Files<'_, 'a>,
    budget: &mut Budget,
) -> Result<Vec<Known>, Stop> {
    let mut at = match row {
        Some(row) => files.of_row(row, budget)?,
        None => Known::default(),
    };
    let mut known = Vec::new();
    for inlined in hit.inlined.iter().rev() {
        let name = units.name(unit, &inlined.name, budget)?;
        let caller = Known {
            name: None,
            file: match inlined.call_file {
                Some(file) => files.path(file, budget)?,
                None => None,
            },
            line: (inlined.call_line != 0).then_some(inlined.call_line),
            column: (inlined.call_column != 0).then_some(inlined.call_column),
        };
        known.push(Known { name, ..at });
        at = caller;
    }
    let name = units.name(unit, &hit.name, budget)?;
    known.push(Known { name, ..at });
    Ok(known)
}

/// The files of one unit, those that were asked for.
struct Files<'u, 'a> {
    table: Option<LineTable<'u, 'a>>,
    paths: BTreeMap<u64, Option<String>>,
}

impl Files<'_, '_> {
    fn path(&mut self, file: u64, budget: &mut Budget) -> Result<Option<String>, Stop> {
        let Some(table) = &self.table else {
            return Ok(None);
        };
        let path = match self.paths.get(&file) {
            Some(path) => path.clone(),
            None => {
                let path = table.path(file, budget)?;
                self.paths.insert(file, path.clone());
                path
            }
        };
        budget.keep(path.as_ref().map_or(0, String::len))?;
        Ok(path)
    }

    fn of_row(&mut self, row: Row, budget: &mut Budget) -> Result<Known, Stop> {
        let known = row.line != 0;
        Ok(Known {
            name: None,
            file: self.path(row.file, budget)?,
            line: known.then_some(row.line),
            column: known.then_some(row.column),
        })
    }
}
