//! Compilation units: which of them a place is in.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAddrBase, DebugInfoOffset, DebugLineOffset,
    DebugLocListsBase, DebugRngListsBase, DebugStrOffsetsBase, Dwarf, Reader, Section, Unit,
    UnitHeader, UnitType,
};

use crate::dwarf::lines::LineTable;
use crate::dwarf::ranges::RangeAttributes;
use crate::limits::{Bound, Budget, Stop};
use crate::sections::Slice;

/// Units that are asked for one place. Compilers put a place into one; linkers leave remnants.
const CANDIDATES: usize = 16;

/// Abbreviations and attributes of theirs that are kept, of all units together.
const KEPT_ABBREVIATIONS: usize = 1_000_000;

/// Units whose first entry is kept.
const KEPT_UNITS: usize = 4096;

/// A unit whose first entry was read.
pub(super) struct OpenUnit<'a> {
    pub(super) unit: Unit<Slice<'a>>,
    ranges: RangeAttributes<'a>,
    /// Where its line table is.
    pub(super) lines: Option<DebugLineOffset>,
}

/// All units of a module.
pub(super) struct Units<'d, 'a> {
    pub(super) dwarf: &'d Dwarf<Slice<'a>>,
    /// By offset.
    headers: Vec<(DebugInfoOffset, UnitHeader<Slice<'a>>)>,
    open: HashMap<usize, Rc<OpenUnit<'a>>>,
    abbreviations: HashMap<usize, Arc<Abbreviations>>,
    kept_abbreviations: usize,
}

impl<'d, 'a> Units<'d, 'a> {
    pub(super) fn new(dwarf: &'d Dwarf<Slice<'a>>, budget: &mut Budget) -> Result<Self, Stop> {
        let mut headers = Vec::new();
        let mut units = dwarf.units();
        while let Some(header) = units.next()? {
            budget.spend(1)?;
            if headers.len() >= budget.limits.units {
                return Err(Stop::Bound(Bound::Units));
            }
            if let Some(offset) = header.debug_info_offset() {
                headers.push((offset, header));
            }
        }
        Ok(Units {
            dwarf,
            headers,
            open: HashMap::new(),
            abbreviations: HashMap::new(),
            kept_abbreviations: 0,
        })
    }

    /// For each place the units that say they have it, in the order in which they are asked.
    pub(super) fn candidates(
        &mut self,
        places: &[u64],
        budget: &mut Budget,
    ) -> Result<Vec<Vec<usize>>, Stop> {
        let mut candidates: Vec<Vec<(u64, usize)>> = vec![Vec::new(); places.len()];
        for index in 0..self.headers.len() {
            match self.headers[index].1.type_() {
                UnitType::Type { .. } | UnitType::SplitType { .. } | UnitType::Partial => continue,
                _ => {}
            }
            match self.candidate(index, places, &mut candidates, budget) {
                Ok(()) | Err(Stop::Wrong) => {}
                Err(stop) => return Err(stop),
            }
        }
        let mut sorted = Vec::new();
        for mut of_place in candidates {
            of_place.sort_unstable();
            of_place.dedup_by_key(|(_, unit)| *unit);
            sorted.push(of_place.into_iter().map(|(_, unit)| unit).collect());
        }
        Ok(sorted)
    }

    fn candidate(
        &mut self,
        index: usize,
        places: &[u64],
        candidates: &mut [Vec<(u64, usize)>],
        budget: &mut Budget,
    ) -> Result<(), Stop> {
        let unit = self.open(index, budget)?;
        let add = |begin, end, budget: &mut Budget| {
            let first = places.partition_point(|place| *place < begin);
            for (place, of_place) in places.iter().zip(&mut *candidates).skip(first) {
                if *place >= end {
                    break;
                }
                budget.spend(1)?;
                of_place.push((end, index));
                if of_place.len() > CANDIDATES {
                    of_place.sort_unstable();
                    of_place.pop();
                }
            }
            Ok(())
        };
        let said = unit.ranges.each(self.dwarf, &unit.unit, budget, add)?;
        if let (false, Some(lines)) = (said, unit.lines) {
            // The unit does not say. Its places are those that it has lines of.
            let rows = LineTable::parse(self.dwarf, &unit, lines)?.rows(places, budget)?;
            for (row, of_place) in rows.into_iter().zip(candidates) {
                if row.is_some() && of_place.len() < CANDIDATES {
                    of_place.push((u64::MAX, index));
                }
            }
        }
        Ok(())
    }

    /// The unit that has an entry.
    pub(super) fn containing(&self, offset: DebugInfoOffset) -> Result<usize, Stop> {
        let next = self.headers.partition_point(|(begin, _)| *begin <= offset);
        next.checked_sub(1).ok_or(Stop::Wrong)
    }

    /// Reads the unit's first entry, if that is not kept from before.
    pub(super) fn open(
        &mut self,
        index: usize,
        budget: &mut Budget,
    ) -> Result<Rc<OpenUnit<'a>>, Stop> {
        if let Some(unit) = self.open.get(&index) {
            return Ok(Rc::clone(unit));
        }
        let header = self.headers[index].1;
        let abbreviations = self.abbreviations(&header, budget)?;
        let unit = Rc::new(open(self.dwarf, header, abbreviations, budget)?);
        if self.open.len() >= KEPT_UNITS {
            self.open.clear();
        }
        self.open.insert(index, Rc::clone(&unit));
        Ok(unit)
    }

    fn abbreviations(
        &mut self,
        header: &UnitHeader<Slice<'a>>,
        budget: &mut Budget,
    ) -> Result<Arc<Abbreviations>, Stop> {
        let offset = header.debug_abbrev_offset();
        if let Some(parsed) = self.abbreviations.get(&offset.0) {
            return Ok(Arc::clone(parsed));
        }
        let mut input = *self.dwarf.debug_abbrev.reader();
        input.skip(offset.0)?;
        let count = measure(input, budget)?;
        if self.kept_abbreviations + count > KEPT_ABBREVIATIONS {
            self.kept_abbreviations = 0;
            self.abbreviations.clear();
            self.open.clear();
        }
        self.kept_abbreviations += count;
        let parsed = self.dwarf.abbreviations(header)?;
        self.abbreviations.insert(offset.0, Arc::clone(&parsed));
        Ok(parsed)
    }
}

/// How large the abbreviations at the beginning of `input` become in memory: one for each
/// abbreviation and one for each attribute.
fn measure(mut input: Slice<'_>, budget: &mut Budget) -> Result<usize, Stop> {
    let mut count = 0;
    while !input.is_empty() && input.read_uleb128()? != 0 {
        input.skip_leb128()?;
        input.read_u8()?;
        count += 1;
        loop {
            budget.spend(1)?;
            count += 1;
            if count > budget.limits.abbreviations {
                return Err(Stop::Bound(Bound::Abbreviations));
            }
            let (name, form) = (input.read_uleb128()?, input.read_uleb128()?);
            if form == u64::from(gimli::DW_FORM_implicit_const.0) {
                input.skip_leb128()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
    }
    Ok(count)
}

fn open<'a>(
    dwarf: &Dwarf<Slice<'a>>,
    header: UnitHeader<Slice<'a>>,
    abbreviations: Arc<Abbreviations>,
    budget: &mut Budget,
) -> Result<OpenUnit<'a>, Stop> {
    let (encoding, file_type) = (header.encoding(), dwarf.file_type);
    let mut unit = Unit {
        abbreviations,
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(encoding, file_type),
        addr_base: DebugAddrBase(0),
        loclists_base: DebugLocListsBase::default_for_encoding_and_file(encoding, file_type),
        rnglists_base: DebugRngListsBase::default_for_encoding_and_file(encoding, file_type),
        // Not gimli's reader: that keeps all files, and accepts files that take no bytes.
        line_program: None,
        dwo_id: None,
        header,
    };
    let (mut ranges, mut lines) = (RangeAttributes::default(), None);
    let (mut name, mut comp_dir) = (None, None);
    let abbreviations = Arc::clone(&unit.abbreviations);
    let mut entries = header.entries_raw(&abbreviations, None)?;
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Err(Stop::Wrong);
    };
    budget.spend(1 + abbreviation.attributes().len() as u64)?;
    for attribute in abbreviation.attributes() {
        let attribute = entries.read_attribute(*attribute)?;
        ranges.take(&attribute);
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_name, value) => name = Some(value),
            (gimli::DW_AT_comp_dir, value) => comp_dir = Some(value),
            (gimli::DW_AT_stmt_list, AttributeValue::DebugLineRef(offset)) => lines = Some(offset),
            (gimli::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => {
                unit.str_offsets_base = base;
            }
            (
                gimli::DW_AT_addr_base | gimli::DW_AT_GNU_addr_base,
                AttributeValue::DebugAddrBase(base),
            ) => unit.addr_base = base,
            (
                gimli::DW_AT_rnglists_base | gimli::DW_AT_GNU_ranges_base,
                AttributeValue::DebugRngListsBase(base),
            ) => unit.rnglists_base = base,
            _ => {}
        }
    }
    unit.name = name.and_then(|name| dwarf.attr_string(&unit, name).ok());
    unit.comp_dir = comp_dir.and_then(|folder| dwarf.attr_string(&unit, folder).ok());
    for text in [unit.name, unit.comp_dir].into_iter().flatten() {
        budget.spend(text.len() as u64 / 16)?;
    }
    unit.low_pc = ranges.low(dwarf, &unit)?.unwrap_or(0);
    Ok(OpenUnit {
        unit,
        ranges,
        lines,
    })
}
