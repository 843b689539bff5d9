//! One pass over a module: validate it, and note what the rewrite needs.

use std::collections::BTreeMap;
use std::ops::Range;

use wasmparser::{
    DataKind, Encoding, ExternalKind, FuncValidatorAllocations, FunctionBody, MemoryType, Operator,
    OperatorsReader, Parser, Payload, ValidPayload, Validator, ValidatorResources, WasmFeatures,
};

use crate::access::Access;
use crate::bulk::index_type;
use crate::calls::{Called, Calls};
use crate::function_names::FunctionNames;
use crate::place::{place, places};
use crate::{Points, Recorded, RewriteError, RewriteOptions, WaitOp};

/// The length of what precedes the first section: magic number and version.
pub(crate) const HEADER: usize = 8;

/// What [`scan`] found.
pub(crate) struct Scan {
    pub(crate) sections: Vec<Section>,
    /// Lengths of the index spaces.
    pub(crate) types: u32,
    pub(crate) functions: u32,
    pub(crate) tables: u32,
    pub(crate) globals: u32,
    pub(crate) memories: Vec<MemoryType>,
    /// How many of these are imported.
    pub(crate) imported_memories: u32,
    /// By name, with the index of the memory if a memory is exported.
    pub(crate) exports: BTreeMap<String, Option<u32>>,
    pub(crate) start: Option<u32>,
    pub(crate) active_data_on_shared: bool,
    /// In the order of the code.
    pub(crate) sites: Vec<Site>,
    /// The functions whose calls are told.
    pub(crate) calls: Calls,
}

/// Where a section is in the module.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) id: u8,
    /// All of it, from the byte that is its id.
    pub(crate) whole: Range<usize>,
    /// What comes after its length.
    pub(crate) contents: Range<usize>,
}

/// An instruction to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The function it is in.
    pub(crate) function: u32,
    pub(crate) at: Range<usize>,
    pub(crate) kind: SiteKind,
}

/// What an instruction to replace does.
///
/// In the order in which the functions that replace them are appended. `memory.fill` comes first,
/// because its calls have the least room for an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum SiteKind {
    Fill {
        memory: u32,
    },
    /// With a point before it, or recorded.
    Access(Access),
    Wait {
        op: WaitOp,
        memory: u32,
        offset: u64,
    },
    Copy {
        to: u32,
        from: u32,
    },
    Init {
        segment: u32,
        memory: u32,
    },
    /// A call of this function, which is told.
    Call(Called, u32),
    /// The beginning of a function or of a loop's turn: a place for a point between two
    /// instructions.
    Loop,
}

/// Validates `bytes` and notes what the rewrite needs.
pub(crate) fn scan(bytes: &[u8], options: &RewriteOptions) -> Result<Scan, RewriteError> {
    let features = WasmFeatures::all();
    let mut validator = Validator::new_with_features(features);
    let mut parser = Parser::new(0);
    parser.set_features(features);
    let mut allocations = FuncValidatorAllocations::default();
    let mut found = Scan {
        sections: Vec::new(),
        types: 0,
        functions: 0,
        tables: 0,
        globals: 0,
        memories: Vec::new(),
        imported_memories: 0,
        exports: BTreeMap::new(),
        start: None,
        active_data_on_shared: false,
        sites: Vec::new(),
        calls: Calls::default(),
    };
    let names = tells_of_calls(options).then(|| FunctionNames::read(parser.clone(), bytes));
    let mut segment_lengths = Vec::new();
    for payload in parser.parse_all(bytes) {
        let payload = payload?;
        if let Payload::Version {
            encoding: Encoding::Component,
            ..
        } = payload
        {
            return Err(RewriteError::Component);
        }
        if let ValidPayload::Func(function, body) = validator.payload(&payload)? {
            let mut function = function.into_validator(allocations);
            function_sites(
                &mut function,
                &body,
                &found.memories,
                options,
                &mut found.calls,
                &mut found.sites,
            )?;
            allocations = function.into_allocations();
        }
        if let (Payload::CodeSectionStart { .. }, Some(names), Some(types)) =
            (&payload, &names, validator.types(0))
        {
            let shared = found.memories.first().filter(|memory| memory.shared);
            found.calls = Calls::of(names, &types, shared.map(index_type));
        }
        match payload {
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    let memory = (export.kind == ExternalKind::Memory).then_some(export.index);
                    found.exports.insert(export.name.to_owned(), memory);
                }
            }
            Payload::ImportSection(_) => {
                memories(&validator, &mut found.memories);
                found.imported_memories = found.memories.len() as u32;
            }
            Payload::MemorySection(_) => memories(&validator, &mut found.memories),
            Payload::StartSection { func, .. } => found.start = Some(func),
            Payload::DataSection(segments) => {
                for segment in segments {
                    let segment = segment?;
                    segment_lengths.push(segment.data.len());
                    if let DataKind::Active { memory_index, .. } = segment.kind {
                        found.active_data_on_shared |= !segment.data.is_empty()
                            && memory_index < found.imported_memories
                            && found
                                .memories
                                .get(memory_index as usize)
                                .is_some_and(|memory| memory.shared);
                    }
                }
            }
            _ => {}
        }
        if let Some(types) = validator.types(0) {
            found.types = types.core_type_count_in_module();
            found.functions = types.function_count();
            found.tables = types.table_count();
            found.globals = types.global_count();
        }
    }
    found.sections = sections(bytes)?;
    // An operation that is known to be short is done in one piece.
    if let Some(chunk) = options.bulk_chunk {
        let mut sites = std::mem::take(&mut found.sites);
        sites.retain(|site| match site.kind {
            SiteKind::Init { segment, memory } => {
                options.small_copies
                    || asked_about_plain(options) && found.is_shared(memory)
                    || segment_lengths
                        .get(segment as usize)
                        .is_none_or(|length| *length > chunk as usize)
            }
            _ => true,
        });
        found.sites = sites;
    }
    Ok(found)
}

impl Scan {
    /// Whether there is a point before a bulk operation on this memory.
    pub(crate) fn has_point(&self, options: &RewriteOptions, memory: u32) -> bool {
        options.points >= Some(Points::Accesses) && self.is_shared(memory)
    }

    /// Whether accesses are told once.
    pub(crate) fn filters(&self, options: &RewriteOptions) -> bool {
        tells_of_calls(options) && !self.calls.spawns_untold
    }

    /// Whether this memory is shared.
    pub(crate) fn is_shared(&self, memory: u32) -> bool {
        is_shared(&self.memories, memory)
    }
}

/// Whether plain accesses of shared memories have points or are recorded.
fn asked_about_plain(options: &RewriteOptions) -> bool {
    options.points >= Some(Points::Accesses) || options.recorded >= Some(Recorded::Accesses)
}

/// Whether calls are told.
fn tells_of_calls(options: &RewriteOptions) -> bool {
    options.recorded >= Some(Recorded::Races)
}

/// Whether this access of a shared memory has a point.
pub(crate) fn counts(options: &RewriteOptions, access: &Access) -> bool {
    let points = options.points;
    points.is_some_and(|points| access.atomic || points >= Points::Accesses)
}

fn is_shared(memories: &[MemoryType], memory: u32) -> bool {
    memories.get(memory as usize).is_some_and(|m| m.shared)
}

fn memories(validator: &Validator, into: &mut Vec<MemoryType>) {
    if let Some(types) = validator.types(0) {
        *into = (0..types.memory_count())
            .map(|index| types.memory_at(index))
            .collect();
    }
}

/// Validates one function, and notes its sites.
fn function_sites(
    validator: &mut wasmparser::FuncValidator<ValidatorResources>,
    body: &FunctionBody<'_>,
    memories: &[MemoryType],
    options: &RewriteOptions,
    calls: &mut Calls,
    sites: &mut Vec<Site>,
) -> Result<(), RewriteError> {
    let mut reader = body.get_binary_reader();
    validator.read_locals(&mut reader)?;
    reader.set_features(*validator.features());
    let mut operators = OperatorsReader::new(reader);
    let shared = |memory: u32| is_shared(memories, memory);
    let wait = |op, memarg: &wasmparser::MemArg| {
        (options.waits && shared(memarg.memory)).then_some(SiteKind::Wait {
            op,
            memory: memarg.memory,
            offset: memarg.offset,
        })
    };
    let plain = asked_about_plain(options);
    let atomic = plain || options.points.is_some() || options.recorded.is_some();
    let asked = |memory: u32| plain && shared(memory);
    let loops = options.points >= Some(Points::Loops);
    let small = options.small_copies;
    let access = |operator: &Operator<'_>| {
        if !atomic {
            return None;
        }
        let access = Access::of(operator)?;
        let asked = plain || access.atomic;
        (asked && shared(access.memory)).then_some(SiteKind::Access(access))
    };
    let function = validator.index();
    if loops {
        let begin = place(operators.original_position());
        sites.push(Site {
            function,
            at: begin..begin,
            kind: SiteKind::Loop,
        });
    }
    // The length operand of a bulk operation, where it is a constant: the
    // instruction right before.
    let mut constant = None;
    while !operators.eof() {
        let (operator, at) = operators.read_with_offset()?;
        validator.op(at, &operator)?;
        let long = match (options.bulk_chunk, constant) {
            (None, _) => false,
            (Some(chunk), Some(length)) => length > u64::from(chunk),
            (Some(_), None) => true,
        };
        let kind = match &operator {
            Operator::MemoryAtomicWait32 { memarg } => wait(WaitOp::Wait32, memarg),
            Operator::MemoryAtomicWait64 { memarg } => wait(WaitOp::Wait64, memarg),
            Operator::MemoryAtomicNotify { memarg } => wait(WaitOp::Notify, memarg),
            Operator::MemoryFill { mem } if long || asked(*mem) => {
                Some(SiteKind::Fill { memory: *mem })
            }
            Operator::MemoryCopy { dst_mem, src_mem }
                if small || long || asked(*dst_mem) || asked(*src_mem) =>
            {
                Some(SiteKind::Copy {
                    to: *dst_mem,
                    from: *src_mem,
                })
            }
            Operator::MemoryInit { data_index, mem } if small || long || asked(*mem) => {
                Some(SiteKind::Init {
                    segment: *data_index,
                    memory: *mem,
                })
            }
            Operator::Call { function_index } => {
                let told = calls.told(function, *function_index);
                told.map(|called| SiteKind::Call(called, *function_index))
            }
            Operator::ReturnCall { function_index } => {
                calls.tail_call(*function_index);
                None
            }
            other => access(other),
        };
        if let Some(kind) = kind {
            sites.push(Site {
                function,
                at: places(at..operators.original_position()),
                kind,
            });
        }
        if loops && matches!(operator, Operator::Loop { .. }) {
            let turn = place(operators.original_position());
            sites.push(Site {
                function,
                at: turn..turn,
                kind: SiteKind::Loop,
            });
        }
        constant = match operator {
            Operator::I32Const { value } => Some(u64::from(value.cast_unsigned())),
            Operator::I64Const { value } => Some(value.cast_unsigned()),
            _ => None,
        };
    }
    operators.finish()?;
    Ok(())
}

/// The frames of the sections of a module that has been validated.
fn sections(bytes: &[u8]) -> Result<Vec<Section>, RewriteError> {
    let mut sections = Vec::new();
    let mut reader = wasmparser::BinaryReader::new(bytes, 0);
    reader.read_bytes(HEADER)?;
    while !reader.eof() {
        let start = place(reader.original_position());
        let id = reader.read_u8()?;
        let length = reader.read_var_u32()? as usize;
        let contents = place(reader.original_position());
        reader.read_bytes(length)?;
        let end = contents + length;
        sections.push(Section {
            id,
            whole: start..end,
            contents: contents..end,
        });
    }
    Ok(sections)
}
