//! Which function a place is in, and which ones were inlined there.

use gimli::{AttributeValue, Dwarf, EntriesRaw};

use crate::dwarf::names::NameAttributes;
use crate::dwarf::ranges::RangeAttributes;
use crate::dwarf::units::OpenUnit;
use crate::limits::{Budget, Stop};
use crate::sections::Slice;

/// How many entries with children, one in the other, are followed down to a function's inlined
/// ones.
const DEEPEST: usize = 4096;

/// The function that a place is in.
#[derive(Clone, Debug)]
pub(super) struct Hit<'a> {
    /// Which one it is, and where it begins.
    function: usize,
    begin: u64,
    pub(super) name: NameAttributes<'a>,
    /// What was inlined there, the outermost first.
    pub(super) inlined: Vec<Inlined<'a>>,
    /// There is more of that than is followed.
    pub(super) too_deep: bool,
}

/// A function that was inlined, and where it was called.
#[derive(Clone, Debug)]
pub(super) struct Inlined<'a> {
    pub(super) name: NameAttributes<'a>,
    pub(super) call_file: Option<u64>,
    pub(super) call_line: u32,
    pub(super) call_column: u32,
}

/// A function whose entries are being read, or an inlined one in it.
struct Level {
    /// How deep its entry is.
    depth: isize,
    /// Where the enclosing function is in the list of levels: this level, if it is a function.
    function: usize,
    /// Which function it is, and the places in it. There are none if the function is not one that
    /// is looked for.
    number: usize,
    places: Vec<usize>,
}

/// The function of each of `places`; `None` where there is none.
pub(super) fn find<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    unit: &OpenUnit<'a>,
    places: &[u64],
    budget: &mut Budget,
) -> Result<Vec<Option<Hit<'a>>>, Stop> {
    let mut scan = Scan {
        dwarf,
        unit,
        places,
        hits: vec![None; places.len()],
        levels: Vec::new(),
        functions: 0,
    };
    let mut entries = unit.unit.entries_raw(None)?;
    while !entries.is_empty() {
        let depth = entries.next_depth();
        let Some(abbreviation) = entries.read_abbreviation()? else {
            budget.spend(1)?;
            continue;
        };
        budget.spend(1 + abbreviation.attributes().len() as u64)?;
        while scan.levels.last().is_some_and(|level| level.depth >= depth) {
            scan.levels.pop();
        }
        let descend = abbreviation.has_children();
        match abbreviation.tag() {
            gimli::DW_TAG_subprogram => {
                let places = scan.function(&mut entries, abbreviation, budget)?;
                if descend {
                    scan.descend(depth, Some(places));
                }
            }
            gimli::DW_TAG_inlined_subroutine if scan.is_wanted() => {
                scan.inlined(&mut entries, abbreviation, budget)?;
                if descend {
                    scan.descend(depth, None);
                }
            }
            _ => entries.skip_attributes(abbreviation.attributes())?,
        }
    }
    Ok(scan.hits)
}

struct Scan<'s, 'a> {
    dwarf: &'s Dwarf<Slice<'a>>,
    unit: &'s OpenUnit<'a>,
    places: &'s [u64],
    hits: Vec<Option<Hit<'a>>>,
    levels: Vec<Level>,
    /// How many there were.
    functions: usize,
}

impl<'a> Scan<'_, 'a> {
    /// Whether one of the places is in the function around.
    fn is_wanted(&self) -> bool {
        let level = self.levels.last();
        level.is_some_and(|level| !self.levels[level.function].places.is_empty())
    }

    fn function(
        &mut self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        abbreviation: &gimli::Abbreviation,
        budget: &mut Budget,
    ) -> Result<Vec<usize>, Stop> {
        let mut ranges = RangeAttributes::default();
        let mut name = NameAttributes::default();
        for attribute in abbreviation.attributes() {
            let attribute = entries.read_attribute(*attribute)?;
            ranges.take(&attribute);
            name.take(&attribute);
        }
        self.functions += 1;
        let function = self.functions;
        let mut inside = Vec::new();
        let hits = &mut self.hits;
        let places = self.places;
        let add = |begin, end, budget: &mut Budget| {
            let first = places.partition_point(|place| *place < begin);
            for (index, place) in places.iter().enumerate().skip(first) {
                if *place >= end {
                    break;
                }
                budget.spend(1)?;
                match &mut hits[index] {
                    // The function has many ranges, and the place is in several of them.
                    Some(hit) if hit.function == function => hit.begin = hit.begin.max(begin),
                    // Of two that overlap, the smaller one: linkers leave removed functions at
                    // address 0.
                    Some(hit) if hit.begin >= begin => {}
                    hit => {
                        budget.keep_item()?;
                        inside.push(index);
                        *hit = Some(Hit {
                            function,
                            begin,
                            name,
                            inlined: Vec::new(),
                            too_deep: false,
                        });
                    }
                }
            }
            Ok(())
        };
        ranges.each(self.dwarf, &self.unit.unit, budget, add)?;
        Ok(inside)
    }

    fn inlined(
        &mut self,
        entries: &mut EntriesRaw<'_, Slice<'a>>,
        abbreviation: &gimli::Abbreviation,
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let mut ranges = RangeAttributes::default();
        let mut inlined = Inlined {
            name: NameAttributes::default(),
            call_file: None,
            call_line: 0,
            call_column: 0,
        };
        // Before version 5, file 0 is none.
        let first_file = u64::from(self.unit.unit.header.version() < 5);
        for attribute in abbreviation.attributes() {
            let attribute = entries.read_attribute(*attribute)?;
            ranges.take(&attribute);
            inlined.name.take(&attribute);
            let number = || attribute.udata_value().unwrap_or(0) as u32;
            match (attribute.name(), attribute.value()) {
                (gimli::DW_AT_call_file, AttributeValue::FileIndex(file)) => {
                    inlined.call_file = (file >= first_file).then_some(file);
                }
                (gimli::DW_AT_call_line, _) => inlined.call_line = number(),
                (gimli::DW_AT_call_column, _) => inlined.call_column = number(),
                _ => {}
            }
        }
        let Some(level) = self.levels.last() else {
            return Ok(());
        };
        let nesting = self.levels.len() - level.function - 1;
        let function = &self.levels[level.function];
        let (places, hits) = (self.places, &mut self.hits);
        let add = |begin, end, budget: &mut Budget| {
            budget.spend(1 + function.places.len() as u64 / 64)?;
            for index in &function.places {
                if !(begin..end).contains(&places[*index]) {
                    continue;
                }
                budget.spend(1)?;
                let hit = hits[*index].as_mut();
                let Some(hit) = hit.filter(|hit| hit.function == function.number) else {
                    continue;
                };
                if nesting >= budget.limits.inlined {
                    hit.too_deep = true;
                } else if hit.inlined.len() == nesting {
                    budget.keep_item()?;
                    hit.inlined.push(inlined.clone());
                }
            }
            Ok(())
        };
        ranges.each(self.dwarf, &self.unit.unit, budget, add)?;
        Ok(())
    }

    /// Goes on with the children of a function, or of an inlined one.
    fn descend(&mut self, depth: isize, function: Option<Vec<usize>>) {
        let at = self.levels.len();
        let around = self.levels.last().map_or(at, |level| level.function);
        if at < DEEPEST {
            self.levels.push(Level {
                depth,
                function: if function.is_some() { at } else { around },
                number: self.functions,
                places: function.unwrap_or_default(),
            });
            return;
        }
        // What is below is not followed, and the places of the enclosing function are given up.
        for index in std::mem::take(&mut self.levels[around].places) {
            if let Some(hit) = &mut self.hits[index] {
                hit.too_deep = true;
            }
        }
    }
}
