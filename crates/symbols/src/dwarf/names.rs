//! What an entry is called.

use std::rc::Rc;

use gimli::{Attribute, AttributeValue};

use crate::dwarf::units::{OpenUnit, Units};
use crate::limits::{Budget, Stop};
use crate::sections::Slice;

/// Entries that an entry refers to for its name, one after the other.
const REFERENCES: usize = 16;

/// The attributes of an entry that say what it is called.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NameAttributes<'a> {
    linkage: Option<AttributeValue<Slice<'a>>>,
    own: Option<AttributeValue<Slice<'a>>>,
    /// The entry that has it.
    entry: Option<AttributeValue<Slice<'a>>>,
}

impl<'a> NameAttributes<'a> {
    /// Takes the attribute if it is one of them.
    pub(super) fn take(&mut self, attribute: &Attribute<Slice<'a>>) {
        let place = match attribute.name() {
            gimli::DW_AT_linkage_name | gimli::DW_AT_MIPS_linkage_name => &mut self.linkage,
            gimli::DW_AT_name => &mut self.own,
            gimli::DW_AT_abstract_origin | gimli::DW_AT_specification => &mut self.entry,
            _ => return,
        };
        place.get_or_insert(attribute.value());
    }
}

impl<'a> Units<'_, 'a> {
    /// What an entry of a unit is called, for linkers if that is said.
    pub(super) fn name(
        &mut self,
        unit: usize,
        attributes: &NameAttributes<'a>,
        budget: &mut Budget,
    ) -> Result<Option<String>, Stop> {
        let mut unit_index = unit;
        let mut attributes = *attributes;
        for _ in 0..=REFERENCES {
            let unit = self.open(unit_index, budget)?;
            let string = |value| self.dwarf.attr_string(&unit.unit, value).ok();
            let name = attributes.linkage.and_then(string);
            if let Some(name) = name.or_else(|| attributes.own.and_then(string)) {
                return text(name, budget).map(Some);
            }
            let Some(next) = attributes.entry else {
                return Ok(None);
            };
            (unit_index, attributes) = match next {
                AttributeValue::UnitRef(offset) => {
                    (unit_index, attributes_at(&unit, offset, budget)?)
                }
                AttributeValue::DebugInfoRef(offset) => {
                    let index = self.containing(offset)?;
                    let unit = self.open(index, budget)?;
                    let offset = offset.to_unit_offset(&unit.unit.header);
                    let offset = offset.ok_or(Stop::Wrong)?;
                    (index, attributes_at(&unit, offset, budget)?)
                }
                _ => return Ok(None),
            };
        }
        Ok(None)
    }
}

fn attributes_at<'a>(
    unit: &Rc<OpenUnit<'a>>,
    offset: gimli::UnitOffset,
    budget: &mut Budget,
) -> Result<NameAttributes<'a>, Stop> {
    let mut found = NameAttributes::default();
    let mut entries = unit.unit.entries_raw(Some(offset))?;
    let Some(abbreviation) = entries.read_abbreviation()? else {
        return Err(Stop::Wrong);
    };
    budget.spend(1 + abbreviation.attributes().len() as u64)?;
    for attribute in abbreviation.attributes() {
        found.take(&entries.read_attribute(*attribute)?);
    }
    Ok(found)
}

/// The beginning of a text, one byte more than is of use.
fn text(text: Slice<'_>, budget: &mut Budget) -> Result<String, Stop> {
    budget.spend(text.len() as u64 / 64)?;
    let most = text.len().min(budget.limits.mangled_bytes + 1);
    budget.keep(most)?;
    Ok(String::from_utf8_lossy(&text.slice()[..most]).into_owned())
}
