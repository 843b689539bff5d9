//! Modules of any kind, rewritten.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use arbitrary::Unstructured;
use interruptible_wasm::{
    OffsetMap, Points, RewriteError, RewriteOptions, Rewritten, Run, WaitOp, rewrite_with,
};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::input::Input;
use crate::plant::planted;
use crate::rewrite_plan;

/// The first byte says how a module is made of the other bytes, the second what is rewritten.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (manner, choice) = (input.u8(), input.u8());
    let mut options = RewriteOptions::default();
    options.waits = choice & 1 == 0;
    options.start = choice & 2 == 0;
    options.bulk_chunk = match choice >> 2 & 7 {
        0 => options.bulk_chunk,
        1 => None,
        2 => Some(0),
        few => Some(u32::from(few) * 37),
    };
    options.points = match choice >> 5 {
        1 | 5 => Some(Points::Atomics),
        2 | 6 => Some(Points::Accesses),
        3 | 7 => Some(Points::Loops),
        _ => None,
    };
    options.small_copies = manner & 4 != 0;
    let module = match manner % 4 {
        0 => input.rest().to_vec(),
        1 => match of_choices(input.rest()) {
            Some(module) => module,
            None => return,
        },
        _ => rewrite_plan::module(&mut input),
    };
    let valid = valid(&module);
    let mut after = match rewrite_with(&module, &options) {
        Ok(after) => after,
        Err(RewriteError::Component) => {
            assert_eq!(module.get(6..8), Some(&[1, 0][..]), "no component");
            return;
        }
        Err(RewriteError::Invalid(error)) => {
            assert!(valid.is_err(), "refused, though valid: {error}");
            return;
        }
        Err(error) => {
            assert!(matches!(error, RewriteError::NoRoom { .. }), "{error}");
            return;
        }
    };
    assert!(valid.is_ok(), "taken, though not valid: {valid:?}");
    plant(&mut after);
    if let Err(error) = self::valid(&after.bytes) {
        panic!("no longer valid: {error}");
    }
    let unchanged = matches!(after.bytes, Cow::Borrowed(_));
    let replaced = after.wait_sites + after.bulk_sites + after.point_sites;
    let has_start = after.start_export.is_some();
    if unchanged {
        assert!(replaced == 0 && !has_start && after.appended_exports.is_empty());
    }
    check_places(&module, &after);
    check_code(&module, &after);
    check_table(&after);
    // A rewritten module has nothing more to rewrite, except the bulk operations of appended
    // functions.
    let mut again = RewriteOptions::default();
    again.bulk_chunk = None;
    (again.waits, again.start) = (options.waits, options.start);
    match rewrite_with(&after.bytes, &again) {
        Ok(twice) => {
            assert_eq!(twice.wait_sites, 0, "waits are left");
            assert!(twice.start_export.is_none(), "a start function is left");
        }
        Err(error) => assert!(matches!(error, RewriteError::NoRoom { .. }), "{error}"),
    }
}

/// A map of which the code behind the first instruction that grew is one byte further.
fn shifted(map: &OffsetMap) -> Option<OffsetMap> {
    let mut runs: Vec<Run> = map.runs().to_vec();
    if runs.len() < 2 {
        return None;
    }
    for run in &mut runs[1..] {
        run.rewritten += 1;
    }
    OffsetMap::from_runs(runs)
}

/// What wasm-smith makes of bytes.
fn of_choices(bytes: &[u8]) -> Option<Vec<u8>> {
    let config = wasm_smith::Config {
        bulk_memory_enabled: true,
        exceptions_enabled: true,
        gc_enabled: false,
        generate_custom_sections: true,
        max_funcs: 12,
        max_imports: 4,
        max_memories: 3,
        memory64_enabled: true,
        min_funcs: 1,
        min_memories: 1,
        threads_enabled: true,
        ..wasm_smith::Config::default()
    };
    let module = wasm_smith::Module::new(config, &mut Unstructured::new(bytes));
    Some(module.ok()?.to_bytes())
}

/// Whether a module is valid, as the rewrite's documentation has it: with every proposal.
fn valid(module: &[u8]) -> Result<(), String> {
    let mut validator = Validator::new_with_features(WasmFeatures::all());
    match validator.validate_all(module) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

fn plant(after: &mut Rewritten<'_>) {
    let both = after.wait_sites > 0 && after.bulk_sites > 0;
    if planted("call-of-nothing") && both {
        let bytes = after.bytes.to_mut();
        let code = code(bytes);
        // The last body of all ends with `end`.
        if let Some(last) = code.last() {
            bytes[last.end - 1] = 0x10;
        }
    }
    // Two waits or notifies: the seeds do not have that beside a loop or a function that counts.
    if planted("map-shifted")
        && after.wait_sites > 1
        && let Some(map) = shifted(&after.code_map)
    {
        after.code_map = map;
    }
    if planted("section-changed") && after.start_export.is_some() {
        let bytes = after.bytes.to_mut();
        let customs = customs(bytes);
        if let Some(data) = customs
            .into_iter()
            .map(|(_, data)| data)
            .find(|data| data.len() > 1)
        {
            bytes[data.start] ^= 1;
        }
    }
}

fn payloads(bytes: &[u8]) -> impl Iterator<Item = Payload<'_>> {
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all());
    parser
        .parse_all(bytes)
        .map(|payload| payload.expect("it parses"))
}

/// A position in a module. wasmparser has them as `usize` up to the version that Wasmtime 48 uses,
/// and later as `u64`.
fn place(at: impl TryInto<usize>) -> usize {
    at.try_into().ok().expect("within the module")
}

/// Where the bodies are.
fn code(bytes: &[u8]) -> Vec<Range<usize>> {
    payloads(bytes)
        .filter_map(|payload| match payload {
            Payload::CodeSectionEntry(body) => {
                Some(place(body.range().start)..place(body.range().end))
            }
            _ => None,
        })
        .collect()
}

/// The instructions of the bodies of a module: where each begins, and whether it is its body's
/// last.
fn instructions(bytes: &[u8]) -> Vec<(usize, bool)> {
    let mut found = Vec::new();
    for payload in payloads(bytes) {
        let Payload::CodeSectionEntry(body) = payload else {
            continue;
        };
        let mut reader = body.get_operators_reader().expect("it parses");
        while !reader.eof() {
            let at = place(reader.original_position());
            reader.read().expect("it parses");
            found.push((at, reader.eof()));
        }
    }
    found
}

/// Names of custom sections, and where their contents are.
fn customs(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    payloads(bytes)
        .filter_map(|payload| match payload {
            Payload::CustomSection(custom) => {
                let start = place(custom.data_offset());
                Some((custom.name().to_owned(), start..start + custom.data().len()))
            }
            _ => None,
        })
        .collect()
}

fn exports(bytes: &[u8]) -> Vec<String> {
    payloads(bytes)
        .filter_map(|payload| match payload {
            Payload::ExportSection(exports) => Some(exports),
            _ => None,
        })
        .flatten()
        .map(|export| export.expect("it parses").name.to_owned())
        .collect()
}

fn code_start(bytes: &[u8]) -> Option<usize> {
    payloads(bytes).find_map(|payload| match payload {
        Payload::CodeSectionStart { range, .. } => Some(place(range.start)),
        _ => None,
    })
}

/// Indices, code and custom sections are where they were.
fn check_places(before: &[u8], after: &Rewritten<'_>) {
    let of = |bytes: &[u8]| -> Vec<(String, Vec<u8>)> {
        customs(bytes)
            .into_iter()
            .map(|(name, data)| (name, bytes[data].to_vec()))
            .collect()
    };
    assert_eq!(of(before), of(&after.bytes), "custom sections");
    let names = [exports(before), after.appended_exports.clone()].concat();
    assert_eq!(exports(&after.bytes), names, "exports");
    let distinct: HashSet<&String> = names.iter().collect();
    assert_eq!(distinct.len(), names.len(), "exports of one name");
    let (Some(was), Some(is)) = (code_start(before), code_start(&after.bytes)) else {
        return;
    };
    assert_eq!(is as i64 - was as i64, after.code_file_shift, "the shift");
    let moved = usize::from(!after.code_offsets_kept);
    for (old, new) in code(before).iter().zip(code(&after.bytes)) {
        if after.points < Some(Points::Loops) {
            assert_eq!(
                old.start - was + moved,
                new.start - is,
                "where a body begins"
            );
            assert_eq!(old.len(), new.len(), "how long a body is");
        }
        if after.wait_sites + after.bulk_sites + after.point_sites == 0 {
            assert_eq!(before[old.clone()], after.bytes[new], "a body");
        }
    }
}

/// Each instruction, or the call in its place, is where the map says. From there the map leads back
/// to it.
fn check_code(before: &[u8], after: &Rewritten<'_>) {
    const CALL: u8 = 0x10;
    let map = &after.code_map;
    for (at, last) in instructions(before) {
        let now = map.rewritten(at as u64).expect("an instruction is lost");
        let (was, is) = (before[at], after.bytes.get(now as usize));
        let kept = is == Some(&was) || (is == Some(&CALL) && !last);
        assert!(kept, "{was:#x} at {at} is {is:x?} at {now}");
        assert_eq!(map.original(now), Some(at as u64), "the way back");
    }
}

/// What is said of the table, and of what it stands for.
fn check_table(after: &Rewritten<'_>) {
    let slots = &after.wait_slots;
    let asks = after.point_slot.is_some();
    assert_eq!(after.wait_table.is_some(), !slots.is_empty() || asks);
    if let Some(slot) = &after.point_slot {
        assert_eq!(slot.slot as usize, slots.len(), "behind the waits");
        assert!(after.appended_exports.contains(&slot.left), "the count");
    }
    let mut seen = HashSet::<(WaitOp, u32)>::new();
    let names = exports(&after.bytes);
    for slot in slots {
        assert!(seen.insert((slot.op, slot.memory)), "a slot twice");
        assert!(names.contains(&slot.memory_export), "no such memory");
    }
    let named = after.wait_table.iter().chain(&after.start_export);
    for name in named {
        assert!(
            after.appended_exports.contains(name),
            "not appended: {name}"
        );
    }
}
