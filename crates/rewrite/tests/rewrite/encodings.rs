//! Instructions in encodings that assemblers do not choose.

use interruptible_wasm::{RewriteError, rewrite};
use wasm_encoder::{
    CodeSection, ConstExpr, DataCountSection, DataSection, ExportKind, ExportSection, Function,
    FunctionSection, MemorySection, MemoryType, Module, TypeSection, ValType,
};
use wasmtime::{Linker, Val};

use super::both::{Came, chunked, engine, original, rewritten};

/// A LEB128 number in exactly `length` bytes.
fn padded(mut value: u64, length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 1..length {
        out.push(value as u8 & 0x7f | 0x80);
        value >>= 7;
    }
    assert!(value < 0x80, "it does not fit");
    out.push(value as u8);
    out
}

/// A module of `before` functions that do nothing and one, exported as `f`,
/// with the body given, its `end` excluded.
fn module(
    memory64: bool,
    before: u32,
    params: &[ValType],
    results: &[ValType],
    body: &[u8],
) -> Vec<u8> {
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function(params.to_vec(), results.to_vec());
    let mut functions = FunctionSection::new();
    let mut code = CodeSection::new();
    for _ in 0..before {
        functions.function(0);
        let mut nothing = Function::new([]);
        nothing.instructions().end();
        code.function(&nothing);
    }
    functions.function(1);
    let mut function = Function::new([]);
    function.raw(body.iter().copied());
    function.instructions().end();
    code.function(&function);
    let mut memories = MemorySection::new();
    for _ in 0..2 {
        memories.memory(MemoryType {
            minimum: 1,
            maximum: Some(1),
            memory64,
            shared: true,
            page_size_log2: None,
        });
    }
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, before);
    let mut data = DataSection::new();
    data.active(
        0,
        &if memory64 {
            ConstExpr::i64_const(16)
        } else {
            ConstExpr::i32_const(16)
        },
        *b"\x07\0\0\0",
    );
    data.passive(*b"segment");
    let mut module = Module::new();
    module
        .section(&types)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&DataCountSection { count: 2 })
        .section(&code)
        .section(&data);
    module.finish()
}

/// `local.get 0; i32.const 0; i64.const 0`: of a wait32 on an `i32` memory.
const OPERANDS: [u8; 6] = [0x20, 0, 0x41, 0, 0x42, 0];

/// What `f` gives for addresses around the word at 16, before and after.
fn compare(bytes: &[u8], wide: bool) -> Vec<Came> {
    let engine = engine();
    let linker = Linker::new(&engine);
    let after = chunked(bytes, 4);
    assert_eq!(after.wait_sites + after.bulk_sites, 1);
    assert!(after.code_offsets_kept);
    let mut one = original(&engine, &linker, bytes).expect("an instance");
    let mut other = rewritten(&engine, &linker, &after).expect("an instance");
    [0, 2, 16, 65_532, 65_536]
        .into_iter()
        .map(|at| {
            let at = if wide {
                Val::I64(at)
            } else {
                Val::I32(at as i32)
            };
            let came = one.call("f", &[at]);
            assert_eq!(came, other.call("f", &[at]));
            came
        })
        .collect()
}

#[test]
fn every_length_of_a_wait_is_replaced_in_place() {
    let mut lengths = std::collections::BTreeSet::new();
    for opcode in [1, 2, 5] {
        for align in [1, 5] {
            for memory in [None, Some(1), Some(5)] {
                for offset in [1, 3, 5, 10] {
                    let mut site = vec![0xfe];
                    site.extend(padded(1, opcode));
                    match memory {
                        None => site.extend(padded(2, align)),
                        Some(length) => {
                            site.extend(padded(2 | 0x40, align));
                            site.extend(padded(0, length));
                        }
                    }
                    site.extend(padded(0, offset));
                    lengths.insert(site.len());
                    let body = [&OPERANDS[..], &site].concat();
                    let bytes = module(false, 0, &[ValType::I32], &[ValType::I32], &body);
                    let came = compare(&bytes, false);
                    assert_eq!(came[0], Came::i32(2), "{site:x?}");
                    assert_eq!(came[2], Came::i32(1), "{site:x?}");
                }
            }
        }
    }
    assert_eq!(lengths.first(), Some(&4));
    assert_eq!(lengths.last(), Some(&26), "the longest there is");
}

#[test]
fn the_second_memory_and_a_long_offset_are_read() {
    // On the second memory, the word at 16 is zero too.
    let site = [
        &[0xfe][..],
        &padded(1, 1),
        &padded(2 | 0x40, 1),
        &[1],
        &padded(8, 10),
    ]
    .concat();
    let body = [&OPERANDS[..], &site].concat();
    let bytes = module(false, 0, &[ValType::I32], &[ValType::I32], &body);
    let came = compare(&bytes, false);
    assert_eq!(came[2], Came::i32(2));

    let wide = [0x20, 0, 0x41, 0, 0x42, 0];
    let site = [&[0xfe, 0x01, 0x02][..], &padded(1 << 40, 6)].concat();
    let body = [&wide[..], &site].concat();
    let bytes = module(true, 0, &[ValType::I64], &[ValType::I32], &body);
    let came = compare(&bytes, true);
    assert_eq!(came[1], Came::Trapped(wasmtime::Trap::HeapMisaligned));
    assert_eq!(came[2], Came::Trapped(wasmtime::Trap::MemoryOutOfBounds));
}

#[test]
fn the_shortest_wait_has_room_at_the_highest_function_index() {
    // One below the limit of a million, so that the appended function is the
    // last one allowed.
    let body = [&OPERANDS[..], &[0xfe, 0x01, 0x02, 0x00]].concat();
    let params = [ValType::I32];
    let results = [ValType::I32];
    let bytes = module(false, 999_998, &params, &results, &body);
    let after = rewrite(&bytes).expect("just enough room");
    assert_eq!(after.wait_sites, 1);
    assert_eq!(after.first_appended_function, Some(999_999));
    wasmparser::validate(&after.bytes).expect("a valid module");
    let full = module(false, 999_999, &params, &results, &body);
    match rewrite(&full) {
        Err(RewriteError::NoRoom { what, count, limit }) => {
            assert_eq!((what, count, limit), ("functions", 1_000_001, 1_000_000));
        }
        other => panic!("{other:?}"),
    }
}

/// The length of the code that stands for the last fill, of `length` bytes. The fill is the last
/// instruction.
fn length_of_call(bytes: &[u8], after: &interruptible_wasm::Rewritten<'_>, length: usize) -> u64 {
    let is_fill =
        |window: &[u8]| window[0] == 0xfc && window[1] & 0x7f == 0x0b && window[length] == 0x0b;
    let fill = bytes.windows(length + 1).rposition(is_fill);
    let fill = fill.expect("a fill") as u64;
    let now = |at| after.code_map.rewritten(at).expect("a place in the code");
    now(fill + length as u64) - now(fill)
}

#[test]
fn a_fill_has_room_up_to_the_two_byte_indices() {
    // local.get 0; i32.const 1; local.get 0; memory.fill
    let body = [0x20, 0, 0x41, 1, 0x20, 0, 0xfc, 0x0b, 0x00];
    for (before, kept) in [(16_382, true), (16_383, false)] {
        let bytes = module(false, before, &[ValType::I32], &[], &body);
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        assert_eq!(after.bulk_sites, 1, "{before}");
        // Beyond that the code grows.
        let length = if kept { 3 } else { 4 };
        assert_eq!(length_of_call(&bytes, &after, 3), length, "{before}");
        wasmparser::validate(&after.bytes).expect("a valid module");
    }
    // The replacements of other instructions do not take the fill's room: (memory 1 1 shared), a
    // notify beside the fill.
    let notify = "(drop (memory.atomic.notify (local.get 0) (i32.const 1)))";
    let fill = "(memory.fill (local.get 0) (i32.const 1) (local.get 0))";
    let empty = "(func)".repeat(16_382);
    let bytes = wat::parse_str(format!(
        "(module (memory 1 1 shared) {empty} (func (param i32) {notify} {fill}))"
    ))
    .expect("a module");
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!((after.bulk_sites, after.wait_sites), (1, 1));
    assert_eq!(length_of_call(&bytes, &after, 3), 3);
    wasmparser::validate(&after.bytes).expect("a valid module");
    // An opcode that a linker left padded has room for more.
    let body = [0x20, 0, 0x41, 1, 0x20, 0, 0xfc, 0x8b, 0x00, 0x00];
    let bytes = module(false, 16_383, &[ValType::I32], &[], &body);
    let after = rewrite(&bytes).expect("a module that can be rewritten");
    assert_eq!(after.bulk_sites, 1);
    assert_eq!(length_of_call(&bytes, &after, 4), 4);
}

#[test]
fn padded_bulk_operations_are_read() {
    for length in [1, 2, 5] {
        let fill = [&[0xfc][..], &padded(0x0b, length), &padded(0, length)].concat();
        let copy = [&[0xfc][..], &padded(0x0a, length), &padded(1, length), &[0]].concat();
        for site in [fill, copy] {
            // (f dst) does 8 bytes at dst, of which the length is no constant.
            let mut body = vec![0x20, 0, 0x41, 8, 0x41, 8, 0x41, 0, 0x6a];
            body.extend(&site);
            body.extend([0x41, 0]);
            let bytes = module(false, 0, &[ValType::I32], &[ValType::I32], &body);
            let came = compare(&bytes, false);
            assert_eq!(came[0], Came::i32(0), "{site:x?}");
            assert_eq!(came[4], Came::Trapped(wasmtime::Trap::MemoryOutOfBounds));
        }
    }
}

#[test]
fn a_wait_of_the_wrong_alignment_stays_invalid() {
    let body = [&OPERANDS[..], &[0xfe, 0x01, 0x01, 0x00]].concat();
    let bytes = module(false, 0, &[ValType::I32], &[ValType::I32], &body);
    assert!(matches!(rewrite(&bytes), Err(RewriteError::Invalid(_))));
}

#[test]
fn what_names_an_appended_thing_stays_invalid() {
    // call 1, where there is only function 0; and wait32.
    let body = [&OPERANDS[..], &[0xfe, 0x01, 0x02, 0x00, 0x10, 0x01]].concat();
    let bytes = module(false, 0, &[ValType::I32], &[ValType::I32], &body);
    assert!(matches!(rewrite(&bytes), Err(RewriteError::Invalid(_))));
}
