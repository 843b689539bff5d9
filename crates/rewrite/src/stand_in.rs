//! The functions that stand for instructions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use wasm_encoder::ValType;
use wasmparser::MemoryType;

use crate::access_op::AccessOp;
use crate::append::Appendix;
use crate::calls;
use crate::filter::{self, Filter};
use crate::points::{self, Point, PointKind};
use crate::recording::{self, AccessSite, Doing, Recorder, Telling, Told};
use crate::scan::{self, Scan, SiteKind};
use crate::{RewriteOptions, Rewritten, bulk, compare, waits};

/// The least length of a chunk of copies that no compiler does in place
/// ([`RewriteOptions::small_copies`]).
const SMALL_COPY: u32 = 256;

/// Where an instruction is, and the number of its first site if it is recorded.
#[derive(Clone, Default)]
pub(crate) struct Place {
    pub(crate) at: Range<usize>,
    pub(crate) site: Option<u32>,
}

/// The places to replace, with what replaces them, and the sites of those that are recorded. They
/// are in the order in which the functions are appended: `memory.fill` first, which has the least
/// room.
pub(crate) fn by_kind(
    scan: &Scan,
    options: &RewriteOptions,
    sites: &mut Vec<AccessSite>,
) -> BTreeMap<SiteKind, Vec<Place>> {
    let mut kinds: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for site in &scan.sites {
        let first = sites.len() as u32;
        let told = recording::told(scan, options.recorded, &site.kind);
        sites.extend(told.iter().map(|told| told.site(site)));
        kinds.entry(site.kind).or_default().push(Place {
            at: site.at.clone(),
            site: (!told.is_empty()).then_some(first),
        });
    }
    kinds
}

/// What appended functions call the host with. Its entries in the table are behind those of waits.
#[derive(Clone, Copy)]
pub(crate) struct Hosts {
    /// To pass points, if there are any.
    pub(crate) point: Option<Point>,
    /// To tell of accesses, if any is told.
    pub(crate) recorder: Option<Recorder>,
    /// To tell less, if accesses are told once.
    pub(crate) filter: Option<Filter>,
}

impl Hosts {
    pub(crate) fn new(
        appendix: &mut Appendix,
        scan: &Scan,
        options: &RewriteOptions,
        kinds: &BTreeMap<SiteKind, Vec<Place>>,
        sites: &[AccessSite],
    ) -> Self {
        let mut waits = BTreeSet::new();
        for kind in kinds.keys() {
            if let SiteKind::Wait { op, memory, .. } = *kind {
                waits.insert((op, memory));
            }
        }
        let table = appendix.table_index();
        let any = kinds.keys().any(|kind| has_point(scan, options, *kind));
        let point = any.then(|| Point {
            left: appendix.global(0),
            table,
            slot: waits.len() as u32,
            host: appendix.function_type(&[ValType::I32], &[ValType::I64]),
        });
        let recorder = (!sites.is_empty()).then(|| Recorder {
            table,
            slot: waits.len() as u32 + u32::from(point.is_some()),
            host: appendix.function_type(&Recorder::PARAMETERS, &[]),
        });
        let filters = recorder.is_some() && scan.filters(options);
        let filter = filters.then(|| Filter {
            memory: appendix.memory(filter::PAGES),
            generation: appendix.global(filter::FIRST_GENERATION),
        });
        Self {
            point,
            recorder,
            filter,
        }
    }
}

fn has_point(scan: &Scan, options: &RewriteOptions, kind: SiteKind) -> bool {
    match kind {
        SiteKind::Wait { .. } => options.points.is_some(),
        SiteKind::Call(..) => false,
        // Nothing else notes loops.
        SiteKind::Loop => true,
        SiteKind::Access(access) => scan::counts(options, &access),
        SiteKind::Fill { memory } | SiteKind::Init { memory, .. } => {
            scan.has_point(options, memory)
        }
        SiteKind::Copy { to, from } => scan.has_point(options, to) || scan.has_point(options, from),
    }
}

/// What the function of a kind of site is made from.
pub(crate) struct Making<'a> {
    pub(crate) scan: &'a Scan,
    pub(crate) options: &'a RewriteOptions,
    pub(crate) hosts: Hosts,
    /// The bytes of one of them.
    pub(crate) instruction: &'a [u8],
}

impl Making<'_> {
    /// Appends what this kind of site calls; its index.
    pub(crate) fn append_function(
        &self,
        appendix: &mut Appendix,
        out: &mut Rewritten<'_>,
        kind: SiteKind,
    ) -> u32 {
        let told = recording::told(self.scan, self.options.recorded, &kind);
        let inner = appendix.next_function();
        let Some(recorder) = self.hosts.recorder.filter(|_| !told.is_empty()) else {
            self.append_plain(appendix, out, kind, self.point_of(kind));
            return inner;
        };
        match kind {
            SiteKind::Call(called, function) => {
                if let Some(signature) = self.scan.calls.signature(function) {
                    let filter = self.hosts.filter;
                    calls::append(appendix, recorder, filter, (function, called), signature);
                }
                inner
            }
            SiteKind::Access(_) => {
                let doing = Doing::Instruction(self.instruction);
                self.append_recorded(appendix, recorder, &told, kind, &doing);
                inner
            }
            _ => {
                // The point comes before the record, so it is not in the instruction's own part.
                self.append_plain(appendix, out, kind, None);
                let outer = appendix.next_function();
                self.append_recorded(appendix, recorder, &told, kind, &Doing::Call(inner));
                outer
            }
        }
    }

    /// The point of this kind of site, if it has one.
    pub(crate) fn point_of(&self, kind: SiteKind) -> Option<Point> {
        let point = self.hosts.point?;
        has_point(self.scan, self.options, kind).then_some(point)
    }

    fn memory(&self, memory: u32) -> &MemoryType {
        &self.scan.memories[memory as usize]
    }

    fn append_recorded(
        &self,
        appendix: &mut Appendix,
        recorder: Recorder,
        told: &[Told],
        kind: SiteKind,
        doing: &Doing<'_>,
    ) {
        let none = Vec::new;
        let (point, (params, results)) = match kind {
            SiteKind::Wait { op, memory, .. } => {
                let address = bulk::index_type(self.memory(memory));
                let params = [&[address], waits::operands(op)].concat();
                (waits::point_kind(op), (params, vec![ValType::I32]))
            }
            SiteKind::Access(access) => {
                let address = bulk::index_type(self.memory(access.memory));
                (points::kind_of(&access), access.signature(address))
            }
            SiteKind::Fill { memory } => {
                let params = bulk::fill_operands(self.memory(memory)).to_vec();
                (PointKind::Access, (params, none()))
            }
            SiteKind::Copy { to, from } => {
                let params = bulk::copy_operands(self.memory(to), self.memory(from)).to_vec();
                (PointKind::Access, (params, none()))
            }
            SiteKind::Init { memory, .. } => {
                let params = bulk::init_operands(self.memory(memory)).to_vec();
                (PointKind::Access, (params, none()))
            }
            // The others are not recorded here.
            SiteKind::Call(..) | SiteKind::Loop => (PointKind::Loop, (none(), none())),
        };
        let telling = Telling {
            recorder,
            filter: self.hosts.filter,
            point: self.point_of(kind).map(|host| (host, point)),
        };
        let signature = (&params[..], &results[..]);
        // It has two sites, of which it tells one.
        if let (SiteKind::Access(access), Doing::Instruction(bytes)) = (kind, doing)
            && access.op() == AccessOp::AtomicCmpxchg
            && compare::append(appendix, self.scan, telling, &told[0], signature, bytes)
        {
            return;
        }
        recording::append(appendix, self.scan, telling, told, signature, doing);
    }

    fn append_plain(
        &self,
        appendix: &mut Appendix,
        out: &mut Rewritten<'_>,
        kind: SiteKind,
        point: Option<Point>,
    ) {
        let chunk = self.options.bulk_chunk.unwrap_or(u32::MAX);
        // A chunk's length is a constant, too.
        let copied = match self.options.small_copies {
            true => chunk.max(SMALL_COPY),
            false => chunk,
        };
        match kind {
            SiteKind::Wait { op, memory, offset } => waits::append(
                appendix,
                &mut out.wait_slots,
                op,
                memory,
                self.memory(memory),
                offset,
                point,
            ),
            SiteKind::Fill { memory } => {
                bulk::append_fill(appendix, memory, self.memory(memory), chunk, point);
            }
            SiteKind::Copy { to, from } => bulk::append_copy(
                appendix,
                (to, self.memory(to)),
                (from, self.memory(from)),
                copied,
                point,
            ),
            SiteKind::Init { segment, memory } => {
                let ty = self.memory(memory);
                bulk::append_init(appendix, segment, memory, ty, copied, point);
            }
            SiteKind::Access(access) => {
                if let Some(point) = point {
                    let ty = self.memory(access.memory);
                    points::append_access(appendix, point, &access, ty, self.instruction);
                }
            }
            // Only a recorded call is replaced.
            SiteKind::Call(..) => {}
            SiteKind::Loop => {
                if let Some(point) = point {
                    points::append_loop(appendix, point);
                }
            }
        }
    }
}
