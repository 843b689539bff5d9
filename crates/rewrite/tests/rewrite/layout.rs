//! What stays where it was: indices, code, custom sections.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use interruptible_wasm::{Rewritten, rewrite};
use wasm_encoder::{CodeSection, CustomSection, Function, FunctionSection, MemorySection};
use wasmparser::{Parser, Payload, WasmFeatures};

use super::both::{place, wat};

/// A module taken apart.
#[derive(Default)]
struct Parts<'a> {
    /// The contents of each section but the custom ones, by id.
    sections: BTreeMap<u8, &'a [u8]>,
    /// The custom sections in order: name, contents, and the ids of all other
    /// sections before it.
    customs: Vec<(&'a str, &'a [u8], Vec<u8>)>,
    /// Where the code section's contents begin.
    code: usize,
    /// Of each function body, where it is in the code section.
    bodies: Vec<(Range<usize>, &'a [u8])>,
    /// The names of the exports.
    exports: Vec<&'a str>,
}

fn take_apart(bytes: &[u8]) -> Parts<'_> {
    let mut parts = Parts::default();
    let mut order = Vec::new();
    let mut parser = Parser::new(0);
    parser.set_features(WasmFeatures::all());
    for payload in parser.parse_all(bytes) {
        let payload = payload.expect("a module that parses");
        match &payload {
            Payload::CustomSection(custom) => {
                let before = order.clone();
                parts.customs.push((custom.name(), custom.data(), before));
            }
            Payload::ExportSection(exports) => {
                let names = exports.clone().into_iter();
                parts.exports = names
                    .map(|export| export.expect("it parses").name)
                    .collect();
            }
            Payload::CodeSectionStart { range, .. } => {
                parts.code = place(range.start);
                order.push(10);
                parts
                    .sections
                    .insert(10, &bytes[parts.code..place(range.end)]);
            }
            Payload::CodeSectionEntry(body) => {
                let range = place(body.range().start)..place(body.range().end);
                let at = range.start - parts.code..range.end - parts.code;
                parts.bodies.push((at, &bytes[range]));
            }
            other => {
                if let Some((id, range)) = other.as_section() {
                    order.push(id);
                    parts
                        .sections
                        .insert(id, &bytes[place(range.start)..place(range.end)]);
                }
            }
        }
    }
    parts
}

/// Splits a count off a vector.
fn vector(contents: &[u8]) -> (u64, &[u8]) {
    let mut reader = wasmparser::BinaryReader::new(contents, 0);
    let count = reader.read_var_u32().expect("a count");
    (count.into(), &contents[place(reader.original_position())..])
}

/// Asserts all that the rewrite promises about places.
pub(crate) fn assert_nothing_moved(before: &[u8], after: &Rewritten<'_>) {
    let one = take_apart(before);
    let other = take_apart(&after.bytes);
    assert_eq!(one.customs.len(), other.customs.len(), "custom sections");
    for (was, is) in one.customs.iter().zip(&other.customs) {
        assert_eq!((was.0, was.1), (is.0, is.1), "a custom section");
        // Of the sections that both have, the same ones come before it.
        let both = |ids: &[u8]| -> Vec<u8> {
            ids.iter()
                .filter(|id| one.sections.contains_key(id) && other.sections.contains_key(id))
                .copied()
                .collect()
        };
        assert_eq!(both(&was.2), both(&is.2), "where {} is", was.0);
    }
    for (id, contents) in &one.sections {
        match id {
            // Appended to.
            1 | 3 | 4 | 6 | 7 => {
                let (count, entries) = vector(contents);
                let (more, all) = vector(other.sections[id]);
                assert!(more >= count && all.starts_with(entries), "section {id}");
            }
            8 if after.start_export.is_some() => {
                assert!(!other.sections.contains_key(&8), "the start section");
            }
            10 => {}
            _ => assert_eq!(contents, &other.sections[id], "section {id}"),
        }
    }
    let appended: Vec<&str> = after.appended_exports.iter().map(String::as_str).collect();
    assert_eq!(other.exports, [one.exports, appended].concat(), "exports");
    assert!(other.bodies.len() >= one.bodies.len());
    if one.code > 0 {
        assert_eq!(other.code as i64 - one.code as i64, after.code_file_shift);
    }
    let moved = usize::from(!after.code_offsets_kept);
    let mut differing = 0;
    for ((at, body), (now_at, now)) in one.bodies.iter().zip(&other.bodies) {
        assert_eq!(at.start + moved, now_at.start, "where a body begins");
        assert_eq!(at.len(), now_at.len(), "how long a body is");
        differing += body.iter().zip(*now).filter(|(a, b)| a != b).count();
    }
    // At most the bytes of the sites, the longest of which has 26.
    let sites = after.wait_sites + after.bulk_sites + after.point_sites;
    assert!(differing <= 26 * sites);
    if after.point_slot.is_none() {
        let globals = (one.sections.get(&6), other.sections.get(&6));
        assert_eq!(globals.0, globals.1, "globals");
    }
}

const EVERYTHING: &str = "(module
    (type $t (func (param i32 i32) (result i32)))
    (import \"env\" \"memory\" (memory 1 1 shared))
    (import \"env\" \"f\" (func $imported))
    (import \"env\" \"t\" (table 1 funcref))
    (table $own 4 funcref)
    (global $g (mut i32) (i32.const 0))
    (export \"main\" (func $main))
    (start $start)
    (elem (table $own) (i32.const 0) func $main $start)
    (data \"passive\")
    (func $start (global.set $g (i32.const 1)))
    (func $main (param i32 i32) (result i32)
      (memory.atomic.wait32 (local.get 0) (local.get 1) (i64.const 0)))
    (func $notify (param i32 i32) (result i32)
      (memory.fill (local.get 0) (i32.const 0) (local.get 1))
      (memory.atomic.notify offset=300 (local.get 0) (local.get 1))
      (call_indirect $own (type $t) (i32.const 0) (i32.const 0) (i32.const 0))
      i32.add)
    (@custom \"producers-like\" (before first) \"first\")
    (@custom \"between\" (after func) \"\\00\\01\\02\")
    (@custom \"between\" (before code) \"twice\")
    (@custom \"last\" (after last) \"last\"))";

#[test]
fn indices_code_and_custom_sections_stay() {
    let bytes = wat(EVERYTHING);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!((after.wait_sites, after.bulk_sites), (2, 1));
    assert!(after.code_offsets_kept);
    assert_ne!(after.code_file_shift, 0);
    assert_nothing_moved(&bytes, &after);
    let parts = take_apart(&after.bytes);
    assert_eq!(
        parts.customs.iter().map(|c| c.0).collect::<Vec<_>>(),
        ["producers-like", "between", "between", "last", "name"]
    );
    wasmparser::validate(&after.bytes).expect("a valid module");
}

#[test]
fn sections_that_were_missing_come_where_they_belong() {
    for (text, ids) in [
        // No table, no export.
        (
            "(module (import \"\" \"\" (memory 1 1 shared)) (func (result i32)
               (memory.atomic.notify (i32.const 0) (i32.const 0))))",
            &[1, 2, 3, 4, 7, 10][..],
        ),
        // Neither code nor function section, and no export.
        ("(module (import \"\" \"\" (func)) (start 0))", &[1, 2, 7]),
        (
            "(module (global i32 (i32.const 0)) (tag) (memory 1 1 shared)
               (func (drop (memory.atomic.notify (i32.const 0) (i32.const 0))))
               (elem declare func 0))",
            &[1, 3, 4, 5, 13, 6, 7, 9, 10],
        ),
    ] {
        let bytes = wat(text);
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        wasmparser::validate(&after.bytes).expect("a valid module");
        assert_nothing_moved(&bytes, &after);
        let mut parser = Parser::new(0);
        parser.set_features(WasmFeatures::all());
        let found: Vec<u8> = parser
            .parse_all(&after.bytes)
            .filter_map(|payload| payload.expect("a valid module").as_section())
            .map(|(id, _)| id)
            .filter(|id| *id != 0)
            .collect();
        assert_eq!(found, ids, "{text}");
    }
}

/// A module of `count` functions, of which the last has a wait, with a function
/// count encoded in `length` bytes.
fn counted(count: u32, length: usize) -> Vec<u8> {
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for index in 0..count {
        functions.function(0);
        let mut body = Function::new([]);
        if index + 1 == count {
            body.instructions().i32_const(0).i32_const(0);
            body.raw([0xfe, 0x00, 0x02, 0x00]);
            body.instructions().drop();
        }
        body.instructions().end();
        code.function(&body);
    }
    let mut types = wasm_encoder::TypeSection::new();
    types.ty().function([], []);
    let mut memories = MemorySection::new();
    memories.memory(wasm_encoder::MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: true,
        page_size_log2: None,
    });
    let mut module = wasm_encoder::Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories);
    let mut encoded = Vec::new();
    wasm_encoder::Encode::encode(&code, &mut encoded);
    // `encoded` is size, count, bodies; the count is given again, padded.
    let (_, contents) = vector(&encoded);
    let (_, bodies) = vector(contents);
    let mut contents = Vec::new();
    for byte in 0..length {
        let more = if byte + 1 < length { 0x80 } else { 0 };
        contents.push((count >> (7 * byte)) as u8 & 0x7f | more);
    }
    contents.extend(bodies);
    module.section(&wasm_encoder::RawSection {
        id: 10,
        data: &contents,
    });
    module.section(&CustomSection {
        name: Cow::Borrowed(".debug_line"),
        data: Cow::Borrowed(&[]),
    });
    module.finish()
}

#[test]
fn code_moves_only_where_the_count_outgrows_its_bytes() {
    for (count, length, kept) in [
        (1, 1, true),
        (126, 1, true),
        (127, 1, false),
        (127, 2, true),
        (127, 5, true),
        (128, 2, true),
        (16_383, 2, false),
        (16_383, 3, true),
        (16_384, 3, true),
    ] {
        let bytes = counted(count, length);
        wasmparser::validate(&bytes).expect("a valid module");
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        assert_eq!(after.code_offsets_kept, kept, "{count} in {length}");
        wasmparser::validate(&after.bytes).expect("a valid module");
        assert_nothing_moved(&bytes, &after);
    }
}
