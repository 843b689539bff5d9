//! Puts the new module together: the old sections, what is replaced in them,
//! and what is appended.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::append::{Appendix, ExportKind};
use crate::code::{self, Replacement};
use crate::encode::{call_in, push_u32, take_u32};
use crate::offset_map::OffsetMap;
use crate::points::PointSlot;
use crate::recording;
use crate::scan::{HEADER, Scan, SiteKind};
use crate::stand_in::{Hosts, Making, Place, by_kind};
use crate::{RewriteError, RewriteOptions, Rewritten, names};

const CUSTOM: u8 = 0;
const TYPE: u8 = 1;
const FUNCTION: u8 = 3;
const TABLE: u8 = 4;
const MEMORY: u8 = 5;
const GLOBAL: u8 = 6;
const EXPORT: u8 = 7;
const START: u8 = 8;
const CODE: u8 = 10;

/// The order that the sections of a module have, by id.
const ORDER: [u8; 13] = [
    TYPE, 2, FUNCTION, TABLE, MEMORY, 13, GLOBAL, EXPORT, START, 9, 12, CODE, 11,
];

fn rank(id: u8) -> usize {
    ORDER
        .iter()
        .position(|known| *known == id)
        .unwrap_or(ORDER.len())
}

/// The new module, and what is to be said about it.
pub(crate) fn assemble<'a>(
    bytes: &'a [u8],
    scan: &Scan,
    options: &RewriteOptions,
) -> Result<Rewritten<'a>, RewriteError> {
    let mut out = Rewritten {
        bytes: Cow::Borrowed(bytes),
        waits_rewritten: options.waits,
        wait_sites: 0,
        wait_slots: Vec::new(),
        wait_table: None,
        bulk_sites: 0,
        points: options.points,
        point_sites: 0,
        point_slot: None,
        recorded: options.recorded,
        access_slot: None,
        access_sites: Vec::new(),
        allocator: scan.calls.names.iter().cloned().collect(),
        filter_bytes: 0,
        start_export: None,
        appended_exports: Vec::new(),
        start_inside: scan.start.is_some(),
        active_data_on_shared: scan.active_data_on_shared,
        first_appended_function: None,
        code_file_shift: 0,
        code_offsets_kept: true,
        code_map: OffsetMap::default(),
    };
    let mut appendix = Appendix::new(scan);
    let mut replacements = Vec::new();
    let kinds = by_kind(scan, options, &mut out.access_sites);
    let hosts = Hosts::new(&mut appendix, scan, options, &kinds, &out.access_sites);
    for (kind, places) in kinds {
        let making = Making {
            scan,
            options,
            hosts,
            instruction: &bytes[places.first().cloned().unwrap_or_default().at],
        };
        match kind {
            SiteKind::Wait { .. } => out.wait_sites += places.len(),
            SiteKind::Access(_) | SiteKind::Loop => {
                out.point_sites += match making.point_of(kind) {
                    Some(_) => places.len(),
                    None => 0,
                }
            }
            SiteKind::Call(..) => {}
            _ => out.bulk_sites += places.len(),
        }
        let function = making.append_function(&mut appendix, &mut out, kind);
        for Place { at, site } in places {
            // In front of the call, so that the call begins where the instruction did.
            replacements.extend(site.map(|site| Replacement {
                at: at.start..at.start,
                by: recording::push_site(site),
            }));
            replacements.push(Replacement {
                by: call_in(function, at.len()),
                at,
            });
        }
    }
    // What is put in between two instructions comes before the second.
    replacements.sort_unstable_by_key(|replacement| (replacement.at.start, replacement.at.end));
    if let Some(point) = hosts.point {
        out.point_slot = Some(PointSlot {
            slot: point.slot,
            left: appendix.export(names::POINTS_LEFT, ExportKind::Global, point.left),
        });
    }
    out.filter_bytes = appendix.memory_bytes();
    out.access_slot = hosts.recorder.map(|recorder| recorder.slot);
    let more = u32::from(hosts.point.is_some()) + u32::from(hosts.recorder.is_some());
    let entries = out.wait_slots.len() as u32 + more;
    if entries > 0 {
        out.wait_table = Some(appendix.table(entries));
    }
    // With an export, a host that limits or ends the module sees them.
    for (index, memory) in (0_u32..).zip(&scan.memories) {
        if index >= scan.imported_memories && memory.shared {
            appendix.memory_export(index);
        }
    }
    if let Some(start) = scan.start.filter(|_| options.start) {
        let name = appendix.export(names::START, ExportKind::Function, start);
        out.start_export = Some(name);
        out.start_inside = false;
    }
    if replacements.is_empty() && !appendix.has_exports() {
        return Ok(out);
    }
    appendix.check_limits()?;
    out.first_appended_function = appendix.first_function();
    out.appended_exports = appendix.export_names();
    write(bytes, scan, &appendix, &replacements, &mut out);
    Ok(out)
}

/// Writes the sections in the order they had. A section that was missing and is needed now comes
/// where the format wants it.
fn write(
    bytes: &[u8],
    scan: &Scan,
    appendix: &Appendix,
    replacements: &[Replacement],
    out: &mut Rewritten<'_>,
) {
    let mut appended: BTreeMap<usize, (u8, u32, Vec<u8>)> = [
        (TYPE, appendix.type_entries()),
        (FUNCTION, appendix.function_entries()),
        (TABLE, appendix.table_entries()),
        (MEMORY, appendix.memory_entries()),
        (GLOBAL, appendix.global_entries()),
        (EXPORT, appendix.export_entries()),
        (CODE, appendix.code_entries()),
    ]
    .into_iter()
    .filter(|(_, (count, _))| *count > 0)
    .map(|(id, (count, entries))| (rank(id), (id, count, entries)))
    .collect();

    let mut module = Vec::with_capacity(bytes.len() + 1024);
    module.extend_from_slice(&bytes[..HEADER]);
    for section in &scan.sections {
        if section.id == CUSTOM {
            module.extend_from_slice(&bytes[section.whole.clone()]);
            continue;
        }
        while let Some(entry) = appended.first_entry() {
            if *entry.key() >= rank(section.id) {
                break;
            }
            let (id, count, entries) = entry.remove();
            let mut contents = Vec::new();
            push_u32(&mut contents, count);
            contents.extend_from_slice(&entries);
            push_section(&mut module, id, &contents);
        }
        let more = appended.remove(&rank(section.id));
        match (section.id, more) {
            (START, _) if out.start_export.is_some() => {}
            (CODE, more) => {
                let (_, count, entries) = more.unwrap_or_default();
                let contents = &bytes[section.contents.clone()];
                let start = section.contents.start;
                let code = code::replace(contents, start, replacements, count, &entries);
                let begin = push_section(&mut module, CODE, &code.contents);
                out.code_offsets_kept = code.map.is_one_run();
                out.code_file_shift = begin as i64 - start as i64;
                out.code_map = code.map.moved(start as u64, begin as u64);
            }
            (id, Some((_, count, entries))) => {
                let contents = extended(&bytes[section.contents.clone()], count, &entries);
                push_section(&mut module, id, &contents);
            }
            (_, None) => module.extend_from_slice(&bytes[section.whole.clone()]),
        }
    }
    for (id, count, entries) in appended.into_values() {
        let mut contents = Vec::new();
        push_u32(&mut contents, count);
        contents.extend_from_slice(&entries);
        push_section(&mut module, id, &contents);
    }
    out.bytes = Cow::Owned(module);
}

/// Appends a section; returns where its contents begin.
fn push_section(module: &mut Vec<u8>, id: u8, contents: &[u8]) -> usize {
    module.push(id);
    push_u32(module, contents.len() as u32);
    let begin = module.len();
    module.extend_from_slice(contents);
    begin
}

/// A section's contents, a vector, with `count` more entries.
fn extended(contents: &[u8], count: u32, entries: &[u8]) -> Vec<u8> {
    let (before, rest) = take_u32(contents).unwrap_or((0, contents));
    let mut out = Vec::with_capacity(contents.len() + entries.len() + 1);
    push_u32(&mut out, before + count);
    out.extend_from_slice(rest);
    out.extend_from_slice(entries);
    out
}
