//! The addresses that an entry covers.

use gimli::{Attribute, AttributeValue, Dwarf, Unit};

use crate::limits::{Budget, Stop};
use crate::sections::Slice;

/// The attributes of an entry that say so.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RangeAttributes<'a> {
    low: Option<AttributeValue<Slice<'a>>>,
    high: Option<AttributeValue<Slice<'a>>>,
    list: Option<AttributeValue<Slice<'a>>>,
}

impl<'a> RangeAttributes<'a> {
    /// Takes the attribute if it is one of them.
    pub(super) fn take(&mut self, attribute: &Attribute<Slice<'a>>) {
        let place = match attribute.name() {
            gimli::DW_AT_low_pc => &mut self.low,
            gimli::DW_AT_high_pc => &mut self.high,
            gimli::DW_AT_ranges => &mut self.list,
            _ => return,
        };
        *place = Some(attribute.value());
    }

    /// The lowest address, where it is said.
    pub(super) fn low(
        &self,
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
    ) -> Result<Option<u64>, Stop> {
        match self.low {
            Some(low) => Ok(dwarf.attr_address(unit, low)?),
            None => Ok(None),
        }
    }

    /// Hands out the ranges that are not empty, and returns whether there was one.
    pub(super) fn each(
        &self,
        dwarf: &Dwarf<Slice<'a>>,
        unit: &Unit<Slice<'a>>,
        budget: &mut Budget,
        mut range: impl FnMut(u64, u64, &mut Budget) -> Result<(), Stop>,
    ) -> Result<bool, Stop> {
        let mut any = false;
        let mut add = |begin, end, budget: &mut Budget| {
            if begin < end {
                any = true;
                range(begin, end, budget)?;
            }
            Ok::<_, Stop>(())
        };
        let list = match self.list {
            Some(list) => dwarf.attr_ranges_offset(unit, list)?,
            None => None,
        };
        if let Some(list) = list {
            let mut entries = dwarf.ranges(unit, list)?;
            while let Some(entry) = entries.next()? {
                budget.spend(1)?;
                add(entry.begin, entry.end, budget)?;
            }
        } else if let Some(low) = self.low(dwarf, unit)? {
            let end = match self.high {
                Some(AttributeValue::Udata(size)) => low.wrapping_add(size),
                Some(high) => dwarf.attr_address(unit, high)?.unwrap_or(0),
                None => 0,
            };
            add(low, end, budget)?;
        }
        Ok(any)
    }
}
