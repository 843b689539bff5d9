//! Line tables: which file and line a place comes from.
//!
//! They are read here and not by gimli: gimli makes a list of all files in memory, as long as the
//! header says.

use gimli::{DebugLineOffset, Dwarf, Format, Reader, Section};

use crate::dwarf::units::OpenUnit;
use crate::limits::{Budget, Stop};
use crate::sections::Slice;

/// What a table says of an address.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    address: u64,
    pub(super) file: u64,
    /// 0: none.
    pub(super) line: u32,
    pub(super) column: u32,
}

/// The line table of a unit.
pub(super) struct LineTable<'u, 'a> {
    pub(super) dwarf: &'u Dwarf<Slice<'a>>,
    pub(super) unit: gimli::UnitRef<'u, Slice<'a>>,
    pub(super) version: u16,
    pub(super) format: Format,
    address_size: u8,
    min_length: u64,
    max_operations: u64,
    line_base: i8,
    line_range: u8,
    opcode_base: u8,
    /// How many operands the opcodes below `opcode_base` have.
    operands: Slice<'a>,
    /// Folders and files.
    pub(super) lists: Slice<'a>,
    program: Slice<'a>,
}

impl<'u, 'a> LineTable<'u, 'a> {
    pub(super) fn parse(
        dwarf: &'u Dwarf<Slice<'a>>,
        unit: &'u OpenUnit<'a>,
        offset: DebugLineOffset,
    ) -> Result<Self, Stop> {
        let mut input = *dwarf.debug_line.reader();
        input.skip(offset.0)?;
        let (length, format) = input.read_initial_length()?;
        let mut rest = input.split(length)?;
        let version = rest.read_u16()?;
        let mut address_size = unit.unit.header.address_size();
        match version {
            2..=4 => {}
            5 => {
                address_size = rest.read_u8()?;
                // The size of segment selectors.
                if rest.read_u8()? != 0 {
                    return Err(Stop::Wrong);
                }
            }
            _ => return Err(Stop::Wrong),
        }
        if !matches!(address_size, 1 | 2 | 4 | 8) {
            return Err(Stop::Wrong);
        }
        let header_length = rest.read_length(format)?;
        let mut program = rest;
        program.skip(header_length)?;
        rest.truncate(header_length)?;
        let min_length = rest.read_u8()?;
        let max_operations = if version >= 4 { rest.read_u8()? } else { 1 };
        // Whether rows are statements by default.
        rest.read_u8()?;
        let line_base = rest.read_i8()?;
        let (line_range, opcode_base) = (rest.read_u8()?, rest.read_u8()?);
        if [min_length, max_operations, line_range, opcode_base].contains(&0) {
            return Err(Stop::Wrong);
        }
        Ok(LineTable {
            dwarf,
            unit: unit.unit.unit_ref(dwarf),
            version,
            format,
            address_size,
            min_length: min_length.into(),
            max_operations: max_operations.into(),
            line_base,
            line_range,
            opcode_base,
            operands: rest.split(usize::from(opcode_base) - 1)?,
            lists: rest,
            program,
        })
    }

    /// The row of each of `places`, which ascend.
    pub(super) fn rows(
        &self,
        places: &[u64],
        budget: &mut Budget,
    ) -> Result<Vec<Option<Row>>, Stop> {
        let mut found = vec![None; places.len()];
        // Of the sequence that is being read: where it begins, its last row, and what it has of the
        // places.
        let (mut first, mut last) = (0, None::<Row>);
        let mut pending: Vec<(usize, Row)> = Vec::new();
        let mut state = State::new();
        let mut program = self.program;
        while !program.is_empty() {
            budget.spend(1)?;
            let Some(row) = self.step(&mut program, &mut state, budget)? else {
                continue;
            };
            if !state.tombstone {
                match &mut last {
                    Some(last) if last.address == row.address && !state.ended => *last = row,
                    _ => {
                        if let Some(last) = last {
                            let start = places.partition_point(|place| *place < last.address);
                            let inside = places.iter().enumerate().skip(start);
                            for (index, _) in inside.take_while(|(_, at)| **at < row.address) {
                                budget.spend(1)?;
                                pending.push((index, last));
                            }
                        } else {
                            first = row.address;
                        }
                        last = Some(row);
                    }
                }
            }
            if state.ended {
                for (index, row) in pending.drain(..) {
                    if places[index] >= first && found[index].is_none() {
                        found[index] = Some(row);
                    }
                }
                last = None;
                state = State::new();
            }
        }
        Ok(found)
    }

    /// Executes an instruction; a row if it makes one.
    fn step(
        &self,
        program: &mut Slice<'a>,
        state: &mut State,
        budget: &mut Budget,
    ) -> Result<Option<Row>, Stop> {
        let opcode = program.read_u8()?;
        let is_special = opcode >= self.opcode_base;
        if is_special || opcode == gimli::DW_LNS_const_add_pc.0 {
            let opcode = if is_special { opcode } else { 255 };
            let adjusted = opcode - self.opcode_base.min(opcode);
            if is_special {
                let advance = i64::from(self.line_base) + i64::from(adjusted % self.line_range);
                state.advance_line(advance);
            }
            self.advance(state, u64::from(adjusted / self.line_range))?;
            return Ok(is_special.then(|| state.row()));
        }
        match gimli::DwLns(opcode) {
            gimli::DwLns(0) => {
                let length = program.read_uleb128()?;
                let length = usize::try_from(length).map_err(|_| Stop::Wrong)?;
                let mut operands = program.split(length)?;
                match gimli::DwLne(operands.read_u8()?) {
                    gimli::DW_LNE_end_sequence => {
                        state.ended = true;
                        return Ok(Some(state.row()));
                    }
                    gimli::DW_LNE_set_address => {
                        let address = operands.read_address(self.address_size)?;
                        // As gimli does: a linker marks removed code so.
                        let last = u64::MAX >> (64 - 8 * u32::from(self.address_size));
                        state.tombstone = address < state.address || address >= last - 1;
                        if !state.tombstone {
                            (state.address, state.operation) = (address, 0);
                        }
                    }
                    _ => {}
                }
            }
            gimli::DW_LNS_copy => return Ok(Some(state.row())),
            gimli::DW_LNS_advance_pc => {
                let advance = program.read_uleb128()?;
                self.advance(state, advance)?;
            }
            gimli::DW_LNS_advance_line => state.advance_line(program.read_sleb128()?),
            gimli::DW_LNS_set_file => state.file = program.read_uleb128()?,
            gimli::DW_LNS_set_column => state.column = program.read_uleb128()? as u32,
            gimli::DW_LNS_fixed_advance_pc => {
                let advance = program.read_u16()?;
                if !state.tombstone {
                    state.operation = 0;
                    state.address = self.sum(state.address, advance.into())?;
                }
            }
            gimli::DW_LNS_negate_stmt
            | gimli::DW_LNS_set_basic_block
            | gimli::DW_LNS_set_prologue_end
            | gimli::DW_LNS_set_epilogue_begin => {}
            gimli::DW_LNS_set_isa => program.skip_leb128()?,
            _ => {
                let operands = self.operands.slice()[usize::from(opcode) - 1];
                budget.spend(operands.into())?;
                for _ in 0..operands {
                    program.skip_leb128()?;
                }
            }
        }
        Ok(None)
    }

    fn advance(&self, state: &mut State, operations: u64) -> Result<(), Stop> {
        if state.tombstone {
            return Ok(());
        }
        let operations = state.operation.wrapping_add(operations);
        state.operation = operations % self.max_operations;
        let advance = self
            .min_length
            .wrapping_mul(operations / self.max_operations);
        state.address = self.sum(state.address, advance)?;
        Ok(())
    }

    fn sum(&self, address: u64, advance: u64) -> Result<u64, Stop> {
        let last = u64::MAX >> (64 - 8 * u32::from(self.address_size));
        let sum = address.checked_add(advance);
        sum.filter(|sum| *sum <= last).ok_or(Stop::Wrong)
    }
}

/// The registers of a line table's program that matter.
struct State {
    tombstone: bool,
    address: u64,
    operation: u64,
    file: u64,
    line: u64,
    column: u32,
    ended: bool,
}

impl State {
    fn new() -> Self {
        State {
            tombstone: false,
            address: 0,
            operation: 0,
            file: 1,
            line: 1,
            column: 0,
            ended: false,
        }
    }

    fn advance_line(&mut self, by: i64) {
        self.line = match by < 0 {
            true => self.line.saturating_sub(by.unsigned_abs()),
            false => self.line.wrapping_add(by.unsigned_abs()),
        };
    }

    fn row(&self) -> Row {
        Row {
            address: self.address,
            file: self.file,
            line: self.line as u32,
            column: self.column,
        }
    }
}
