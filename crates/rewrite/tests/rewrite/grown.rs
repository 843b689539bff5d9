//! Modules of so many functions that a call has no room in the place of a `memory.fill`: the code
//! grows, and [`OffsetMap`] says where each byte of it went.

use std::ops::Range;

use interruptible_wasm::{OffsetMap, Rewritten, rewrite};
use wasm_encoder::{
    EntityType, ExportKind, ExportSection, FunctionSection, ImportSection, MemorySection,
    MemoryType, Module, RawSection, TypeSection, ValType,
};
use wasmtime::{Engine, Instance, Linker, Store};

use super::both::engine;

/// Reproducible numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn leb(mut value: u64, least: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let more = value >= 0x80 || out.len() + 1 < least;
        out.push((value & 0x7f) as u8 | if more { 0x80 } else { 0 });
        value >>= 7;
        if !more {
            return out;
        }
    }
}

/// Writes its parameter's lowest byte again and again, to the address in a global.
fn body(random: &mut Random) -> Vec<u8> {
    let mut body = vec![0];
    // Lengths near those at which the length of the length changes, and others.
    let length = match random.below(8) {
        0 => 100 + random.below(60),
        1 => 16_340 + random.below(80),
        _ => random.below(400),
    };
    while (body.len() as u64) < length {
        match random.below(6) {
            0 | 1 => {
                // memory.fill of (at, byte, parameter), in one of its encodings.
                body.extend([0x41]);
                body.extend(leb(random.below(64), 1));
                body.extend([0x20, 0, 0x20, 0]);
                match random.below(5) {
                    0 => body.extend([0xfc, 0x8b, 0x00, 0x00]),
                    1 => body.extend([0xfc, 0x0b, 0x80, 0x00]),
                    _ => body.extend([0xfc, 0x0b, 0x00]),
                }
            }
            2 => body.extend([0x41, 0x03, 0x41, 0x05, 0x20, 0, 0xfc, 0x0a, 0, 0]),
            // block; nop; end.
            3 => body.extend([0x02, 0x40, 0x01, 0x0b]),
            // A fill that is known to be short.
            4 => body.extend([0x41, 0x07, 0x41, 0x09, 0x41, 0x02, 0xfc, 0x0b, 0x00]),
            _ => body.push(0x01),
        }
    }
    body.push(0x0b);
    body
}

/// As many imported functions as fit into two bytes, and then some that are defined, all exported.
fn module(random: &mut Random) -> Vec<u8> {
    const IMPORTED: u32 = 16_384;
    let defined = 1 + random.below(25) as u32;
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], []);
    let mut imports = ImportSection::new();
    for _ in 0..IMPORTED {
        imports.import("m", "f", EntityType::Function(0));
    }
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = leb(defined.into(), if random.below(4) == 0 { 5 } else { 1 });
    for function in 0..defined {
        functions.function(1);
        exports.export(
            &format!("f{function}"),
            ExportKind::Func,
            IMPORTED + function,
        );
        let body = body(random);
        let padded = if random.below(4) == 0 { 5 } else { 1 };
        code.extend(leb(body.len() as u64, padded));
        code.extend(body);
    }
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1,
        maximum: Some(1),
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    exports.export("memory", ExportKind::Memory, 0);
    let mut module = Module::new();
    module
        .section(&types)
        .section(&imports)
        .section(&functions)
        .section(&memories)
        .section(&exports)
        .section(&RawSection {
            id: 10,
            data: &code,
        });
    module.finish()
}

/// Where an instruction is, and what it is.
type Instruction = (Range<u64>, String);

/// All instructions, and where each body is.
fn instructions(bytes: &[u8]) -> (Vec<Instruction>, Vec<Range<u64>>) {
    let (mut all, mut bodies) = (Vec::new(), Vec::new());
    for payload in wasmparser::Parser::new(0).parse_all(bytes) {
        let wasmparser::Payload::CodeSectionEntry(body) = payload.expect("a valid module") else {
            continue;
        };
        bodies.push(body.range().start as u64..body.range().end as u64);
        let mut reader = body.get_operators_reader().expect("a body");
        while !reader.eof() {
            let (operator, at) = reader.read_with_offset().expect("an instruction");
            let end = reader.original_position() as u64;
            all.push((at as u64..end, format!("{operator:?}")));
        }
    }
    (all, bodies)
}

/// Every instruction is where the map says, and nothing else is.
fn check_map(before: &[u8], after: &Rewritten<'_>, seed: u64) -> usize {
    let map = &after.code_map;
    let (was, bodies_were) = instructions(before);
    let (is, bodies_are) = instructions(&after.bytes);
    let found = |at: u64| {
        let index = is.binary_search_by_key(&at, |(range, _)| range.start);
        index.map(|index| &is[index])
    };
    let mut called = 0;
    for (at, what) in &was {
        let now = map.rewritten(at.start).expect("code");
        assert_eq!(map.original(now), Some(at.start), "seed {seed}");
        let (range, became) = found(now).expect("an instruction");
        if became == what {
            assert_eq!(at.end - at.start, range.end - range.start, "seed {seed}");
            continue;
        }
        called += 1;
        assert!(
            what.starts_with("MemoryFill") || what.starts_with("MemoryCopy"),
            "seed {seed}: {what} became {became}"
        );
        assert!(became.starts_with("Call "), "seed {seed}: {became}");
        // What came in between is that instruction's.
        for byte in range.clone() {
            let original = map.original(byte).expect("a byte of the call");
            assert!(at.contains(&original), "seed {seed}");
        }
    }
    assert_eq!(called, after.bulk_sites, "seed {seed}");
    let appended = bodies_are[bodies_were.len()].start;
    for (range, what) in &is {
        match map.original(range.start) {
            None => assert!(range.start >= appended, "seed {seed}: {what}"),
            Some(original) => {
                assert!(range.start < appended, "seed {seed}: {what}");
                let at = was.partition_point(|(at, _)| at.start <= original) - 1;
                let (at, op) = &was[at];
                let exact = at.start == original && (op == what || what.starts_with("Call "));
                // A no-operation behind a call that is shorter than its place.
                let filler = at.contains(&original) && what == "Nop" && op.starts_with("Memory");
                assert!(exact || filler, "seed {seed}: {what} was {op}");
            }
        }
    }
    for (was, is) in bodies_were.iter().zip(&bodies_are) {
        assert_eq!(map.rewritten(was.start), Some(is.start), "seed {seed}");
        assert_eq!(map.rewritten(was.end - 1), Some(is.end - 1), "seed {seed}");
    }
    // Counted from the beginning of the section, as DWARF does.
    let code = |bytes: &[u8]| {
        let mut payloads = wasmparser::Parser::new(0).parse_all(bytes);
        payloads.find_map(|payload| match payload.expect("a valid module") {
            wasmparser::Payload::CodeSectionStart { range, .. } => Some(range.start as u64),
            _ => None,
        })
    };
    assert_eq!(code(before), Some(map.original_start()), "seed {seed}");
    assert_eq!(
        code(&after.bytes),
        Some(map.rewritten_start()),
        "seed {seed}"
    );
    assert_eq!(
        OffsetMap::from_runs(map.runs().to_vec()).as_ref(),
        Some(map)
    );
    map.runs().len()
}

#[test]
fn every_instruction_is_where_the_map_says() {
    let mut grown = 0;
    for seed in 0..40 {
        let bytes = module(&mut Random(seed));
        let after = rewrite(&bytes).expect("a module that can be rewritten");
        wasmparser::validate(&after.bytes).expect("a valid module");
        let runs = check_map(&bytes, &after, seed);
        grown += usize::from(runs > 1);
        assert_eq!(runs < 2, after.code_offsets_kept, "seed {seed}");
    }
    assert!(grown > 25, "{grown}");
}

fn instance(engine: &Engine, bytes: &[u8]) -> (Store<()>, Instance) {
    let module = wasmtime::Module::from_binary(engine, bytes).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let mut linker = Linker::new(engine);
    linker
        .define_unknown_imports_as_traps(&module)
        .expect("new names");
    let instance = linker.instantiate(&mut store, &module);
    let instance = instance.expect("an instance");
    (store, instance)
}

#[test]
fn what_has_grown_does_the_same() {
    let engine = engine();
    for seed in 0..3 {
        let bytes = module(&mut Random(seed));
        let mut options = interruptible_wasm::RewriteOptions::default();
        options.bulk_chunk = Some(1000);
        let after = interruptible_wasm::rewrite_with(&bytes, &options);
        let after = after.expect("a module that can be rewritten");
        let (mut one, ours) = instance(&engine, &bytes);
        let (mut other, theirs) = instance(&engine, &after.bytes);
        let mut called = 0;
        while let Some(function) = ours.get_func(&mut one, &format!("f{called}")) {
            let rewritten = theirs.get_func(&mut other, &format!("f{called}"));
            let rewritten = rewritten.expect("the same exports");
            for length in [0, 1, 40 + called, 65_530, 70_000] {
                let params = [wasmtime::Val::I32(length)];
                let trapped = |result: wasmtime::Result<()>| {
                    result
                        .err()
                        .map(|error| error.downcast::<wasmtime::Trap>().ok())
                };
                let was = trapped(function.call(&mut one, &params, &mut []));
                let is = trapped(rewritten.call(&mut other, &params, &mut []));
                assert_eq!(was, is, "seed {seed}, f{called}({length})");
                let memory = ours.get_memory(&mut one, "memory").expect("a memory");
                let memory = memory.data(&one).to_vec();
                let now = theirs.get_memory(&mut other, "memory").expect("a memory");
                assert!(memory == now.data(&other), "seed {seed}, f{called}");
            }
            called += 1;
        }
        assert!(called > 0);
    }
}
