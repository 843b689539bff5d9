//! Random modules: the rewrite keeps them valid, and they do what they did.
//!
//! 500 in a test run. `scripts/rewrite-smith.sh` sets how many, and from which
//! seed on, in `REWRITE_SMITH_MODULES` and `REWRITE_SMITH_SEED`.

use std::collections::BTreeMap;

use arbitrary::Unstructured;
use interruptible_wasm::{Points, Recorded, RewriteOptions, rewrite_with};
use wasm_encoder::reencode::{self, Reencode};
use wasm_encoder::{Function, Instruction};
use wasmparser::{FunctionBody, MemoryType, Operator, Parser, Payload, Validator, WasmFeatures};
use wasmtime::{
    Config, Engine, Extern, ExternType, Func, FuncType, Global, Instance, Memory, Module, Ref,
    SharedMemory, Store, Table, Tag, Trap, Val,
};

use super::both::{Came, VECTORS, bind, bits};
use super::layout::assert_nothing_moved;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: {text}")),
        Err(_) => default,
    }
}

/// SplitMix64: one seed, as many bytes as asked for.
fn random_bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut out = Vec::with_capacity(length + 8);
    while out.len() < length {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        out.extend((z ^ (z >> 31)).to_le_bytes());
    }
    out.truncate(length);
    out
}

/// A repeatable source of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Makes sure that a module has something to rewrite, and ends.
///
/// wasm-smith seldom makes the instructions that matter here, so a few more are put at the
/// beginning of functions. No thread could notify, so each wait gets the timeout zero.
struct Seeded {
    choices: Choices,
    memories: Vec<MemoryType>,
    segments: u32,
}

impl Seeded {
    fn address(&mut self) -> u64 {
        let near = self.choices.below(64);
        match self.choices.below(30) {
            0 => 65_536 - near,
            1 => 65_536 + near,
            2 => u64::from(u32::MAX) - near,
            3 => u64::MAX - near,
            4 => near,
            _ => near & !7,
        }
    }

    fn length(&mut self) -> u64 {
        match self.choices.below(6) {
            0 => self.address(),
            1 => self.choices.below(20_000),
            _ => self.choices.below(1500),
        }
    }

    fn push(function: &mut Function, value: u64, wide: bool) {
        if wide {
            function.instructions().i64_const(value.cast_signed());
        } else {
            function
                .instructions()
                .i32_const((value as u32).cast_signed());
        }
    }

    /// Pushes what the rewrite must not take for a constant.
    fn push_hidden(function: &mut Function, value: u64, wide: bool) {
        Self::push(function, value, wide);
        Self::push(function, 0, wide);
        if wide {
            function.instructions().i64_or();
        } else {
            function.instructions().i32_or();
        }
    }

    /// A number in LEB128, with up to three bytes more than it needs.
    fn leb(&mut self, mut value: u64) -> Vec<u8> {
        let padding = [0, 0, 1, 3][self.choices.below(4) as usize];
        let mut out = Vec::new();
        while value >= 0x80 {
            out.push(value as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
        for _ in 0..padding.min(4 - out.len().min(4)) {
            let last = out.len() - 1;
            out[last] |= 0x80;
            out.push(0);
        }
        out
    }

    /// One statement of those that are rewritten.
    fn statement(&mut self, function: &mut Function) {
        let count = self.memories.len() as u64;
        if count == 0 {
            return;
        }
        let memory = self.choices.below(count) as u32;
        let other = self.choices.below(count) as u32;
        let wide = self.memories[memory as usize].memory64;
        let other_wide = self.memories[other as usize].memory64;
        let address = self.address();
        Self::push(function, address, wide);
        match self.choices.below(7) {
            0 => {
                let length = self.length();
                Self::push(function, length, false);
                Self::push_hidden(function, length, wide);
                let code = [vec![0xfc], self.leb(0x0b), self.leb(memory.into())].concat();
                function.raw(code);
            }
            1 => {
                let (from, length) = (self.address(), self.length());
                Self::push(function, from, other_wide);
                Self::push_hidden(function, length, wide && other_wide);
                let memories = [self.leb(memory.into()), self.leb(other.into())].concat();
                let code = [vec![0xfc], self.leb(0x0a), memories].concat();
                function.raw(code);
            }
            2 if self.segments > 0 => {
                let segment = self.choices.below(self.segments.into());
                let (from, length) = (self.choices.below(8), self.choices.below(600));
                Self::push(function, from, false);
                Self::push_hidden(function, length, false);
                let operands = [self.leb(segment), self.leb(memory.into())].concat();
                let code = [vec![0xfc], self.leb(0x08), operands].concat();
                function.raw(code);
            }
            choice => {
                let opcode = choice % 3;
                let expected = self.choices.below(2);
                match opcode {
                    0 => Self::push(function, expected, false),
                    _ => {
                        Self::push(function, expected, opcode == 2);
                        Self::push(function, 0, true);
                    }
                }
                let align = if opcode == 2 { 3 } else { 2 };
                let offset = match self.choices.below(5) {
                    0 => self.address() & u64::from(u32::MAX),
                    1 if wide => self.address(),
                    _ => self.choices.below(200) & !3,
                };
                let alignment = [self.leb(align | 0x40), self.leb(memory.into())].concat();
                let memarg = [alignment, self.leb(offset)].concat();
                let code = [vec![0xfe], self.leb(opcode), memarg].concat();
                function.raw(code);
                function.instruction(&Instruction::Drop);
            }
        }
    }
}

impl Reencode for Seeded {
    type Error = std::convert::Infallible;

    /// Each import by itself. wasm-smith of Wasmtime 50 groups them, as a proposal has it that is
    /// off by default.
    fn parse_import_section(
        &mut self,
        imports: &mut wasm_encoder::ImportSection,
        section: wasmparser::ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        for import in section.into_imports() {
            self.parse_import(imports, import?)?;
        }
        Ok(())
    }

    fn parse_function_body(
        &mut self,
        code: &mut wasm_encoder::CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), reencode::Error<Self::Error>> {
        let mut function = self.new_function_with_parsed_locals(&body)?;
        for _ in 0..self.choices.below(4) {
            self.statement(&mut function);
        }
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let operator = reader.read()?;
            if matches!(
                operator,
                Operator::MemoryAtomicWait32 { .. } | Operator::MemoryAtomicWait64 { .. }
            ) {
                function.instruction(&Instruction::Drop);
                function.instruction(&Instruction::I64Const(0));
            }
            function.instruction(&self.instruction(operator)?);
        }
        code.function(&function);
        Ok(())
    }
}

/// A module that ends, and waits for nothing. `None` if the bytes give none.
fn module(seed: u64) -> Option<Vec<u8>> {
    use wasm_smith::InstructionKind as Kind;
    let bytes = random_bytes(seed, 4096 + (seed % 5) as usize * 2048);
    let mut u = Unstructured::new(&bytes);
    let config = wasm_smith::Config {
        // Two seeds in three have little but what is rewritten.
        allowed_instructions: if seed.is_multiple_of(3) {
            wasm_smith::InstructionKinds::all()
        } else {
            wasm_smith::InstructionKinds::new(&[Kind::MemoryInt, Kind::Control, Kind::Variable])
        },
        canonicalize_nans: true,
        exceptions_enabled: false,
        export_everything: true,
        gc_enabled: false,
        generate_custom_sections: seed.is_multiple_of(4),
        max_data_segments: 3,
        max_element_segments: 2,
        max_elements: 10,
        max_funcs: 8,
        max_globals: 5,
        max_imports: 4,
        max_instructions: 200,
        max_memories: 3,
        max_memory32_bytes: 1 << 18,
        max_memory64_bytes: 1 << 18,
        max_table_elements: 100,
        max_tables: 2,
        max_types: 8,
        memory_max_size_required: true,
        min_funcs: 2,
        min_memories: 1,
        min_uleb_size: 1 + (seed % 4) as u8,
        relaxed_simd_enabled: false,
        simd_enabled: VECTORS,
        table_max_size_required: true,
        ..wasm_smith::Config::default()
    };
    let mut module = wasm_smith::Module::new(config, &mut u).ok()?;
    module.ensure_termination(200).ok()?;
    let bytes = module.to_bytes();
    let types = Validator::new_with_features(WasmFeatures::all())
        .validate_all(&bytes)
        .expect("wasm-smith makes valid modules");
    let types = types.as_ref();
    let segments = Parser::new(0)
        .parse_all(&bytes)
        .find_map(|payload| match payload {
            Ok(Payload::DataCountSection { count, .. }) => Some(count),
            _ => None,
        });
    let mut seeded = Seeded {
        choices: Choices(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
        memories: (0..types.memory_count())
            .map(|index| types.memory_at(index))
            .collect(),
        segments: segments.unwrap_or(0),
    };
    let mut module = wasm_encoder::Module::new();
    seeded
        .parse_core_module(&mut module, Parser::new(0), &bytes)
        .expect("a valid module");
    Some(module.finish())
}

fn engine() -> Engine {
    let mut config = Config::new();
    config
        .shared_memory(true)
        .wasm_threads(true)
        .wasm_memory64(true)
        .wasm_multi_memory(true)
        .wasm_wide_arithmetic(true)
        .memory_reservation(1 << 20)
        .memory_reservation_for_growth(0)
        .memory_guard_size(1 << 16)
        .cranelift_nan_canonicalization(true)
        .cranelift_opt_level(wasmtime::OptLevel::None)
        .async_stack_size(16 << 20)
        .max_wasm_stack(8 << 20);
    Engine::new(&config).expect("an engine")
}

/// Something for each import: functions give zeroes.
fn imports(store: &mut Store<()>, module: &Module) -> Option<Vec<Extern>> {
    let zeroes = |ty: &FuncType| -> Option<Vec<Val>> {
        ty.results().map(|ty| Val::default_for_ty(&ty)).collect()
    };
    module
        .imports()
        .map(|import| {
            Some(match import.ty() {
                ExternType::Func(ty) => {
                    let values = zeroes(&ty)?;
                    let function = Func::new(&mut *store, ty, move |_, _, results| {
                        results.copy_from_slice(&values);
                        Ok(())
                    });
                    function.into()
                }
                ExternType::Global(ty) => {
                    let value = Val::default_for_ty(ty.content())?;
                    Global::new(&mut *store, ty, value).ok()?.into()
                }
                ExternType::Memory(ty) if ty.is_shared() => {
                    SharedMemory::new(store.engine(), ty).ok()?.into()
                }
                ExternType::Memory(ty) => Memory::new(&mut *store, ty).ok()?.into(),
                ExternType::Table(ty) => {
                    let null = Ref::null(ty.element().heap_type());
                    Table::new(&mut *store, ty, null).ok()?.into()
                }
                ExternType::Tag(ty) => Tag::new(&mut *store, &ty).ok()?.into(),
            })
        })
        .collect()
}

/// All that one run of a module showed.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    instantiated: Came,
    calls: Vec<(String, Came)>,
    left: BTreeMap<String, String>,
}

/// Instantiates, calls each export that is a function with zeroes, then looks
/// at every other export. `names` are the original's exports.
fn show(
    engine: &Engine,
    bytes: &[u8],
    names: &[String],
    prepare: impl FnOnce(&mut Store<()>, Instance) -> wasmtime::Result<()>,
) -> Option<Shown> {
    let module = Module::from_binary(engine, bytes).expect("a module that compiles");
    let mut store = Store::new(engine, ());
    let imports = imports(&mut store, &module)?;
    let mut shown = Shown {
        instantiated: Came::Values(vec![]),
        calls: Vec::new(),
        left: BTreeMap::new(),
    };
    let made = Instance::new(&mut store, &module, &imports).and_then(|instance| {
        prepare(&mut store, instance)?;
        Ok(instance)
    });
    let instance = match made {
        Ok(instance) => instance,
        Err(error) => {
            shown.instantiated = Came::of(Err(error));
            return Some(shown);
        }
    };
    for name in names {
        let Some(Extern::Func(function)) = instance.get_export(&mut store, name) else {
            continue;
        };
        let ty = function.ty(&store);
        let params: Option<Vec<Val>> = ty.params().map(|ty| Val::default_for_ty(&ty)).collect();
        let mut results = vec![Val::I32(0); ty.results().len()];
        let result = function.call(&mut store, &params?, &mut results);
        shown
            .calls
            .push((name.clone(), Came::of(result.map(|()| results))));
    }
    for name in names {
        let left = match instance.get_export(&mut store, name) {
            Some(Extern::Global(global)) => bits(&global.get(&mut store)),
            Some(Extern::Memory(memory)) => sum(memory.data(&store)),
            Some(Extern::SharedMemory(memory)) => sum(&contents(&memory)),
            Some(Extern::Table(table)) => (0..table.size(&store))
                .map(|at| {
                    table
                        .get(&mut store, at)
                        .is_some_and(|entry| !entry.is_null())
                })
                .map(|set| if set { '1' } else { '0' })
                .collect(),
            _ => continue,
        };
        shown.left.insert(name.clone(), left);
    }
    Some(shown)
}

/// What is in a shared memory that nothing runs on.
#[allow(unsafe_code)]
fn contents(memory: &SharedMemory) -> Vec<u8> {
    let cells = memory.data();
    // SAFETY: the cells are the memory's mapping, which lives as long as `memory`, and the one
    // thread that may write to them is this one.
    cells.iter().map(|cell| unsafe { *cell.get() }).collect()
}

/// FNV-1a, and the length.
fn sum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{} bytes, {hash:016x}", bytes.len())
}

#[derive(Debug, Default)]
struct Tally {
    modules: u64,
    rewritten: u64,
    waits: u64,
    bulk: u64,
    points: u64,
    told: u64,
    starts: u64,
    moved: u64,
    run: u64,
    calls: u64,
    traps: BTreeMap<String, u64>,
}

fn one(engine: &Engine, seed: u64, tally: &mut Tally) {
    let Some(bytes) = module(seed) else { return };
    // What the engine refuses, it need not compare.
    if Module::validate(engine, &bytes).is_err() {
        return;
    }
    tally.modules += 1;
    let mut options = RewriteOptions::default();
    options.bulk_chunk = Some(16 + (seed % 5) as u32 * 97);
    options.small_copies = !VECTORS || (seed / 13).is_multiple_of(3);
    options.points = match seed / 7 % 5 {
        0 => Some(Points::Atomics),
        1 => Some(Points::Accesses),
        2 => Some(Points::Loops),
        _ => None,
    };
    options.recorded = match seed / 11 % 4 {
        0 => Some(Recorded::Atomics),
        1 => Some(Recorded::Accesses),
        2 => Some(Recorded::Races),
        _ => None,
    };
    let after =
        rewrite_with(&bytes, &options).unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    Validator::new_with_features(WasmFeatures::all())
        .validate_all(&after.bytes)
        .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    if options.points < Some(Points::Loops) && options.recorded.is_none() {
        assert_nothing_moved(&bytes, &after);
    }
    if matches!(after.bytes, std::borrow::Cow::Borrowed(_)) {
        return;
    }
    tally.rewritten += 1;
    tally.waits += after.wait_sites as u64;
    tally.bulk += after.bulk_sites as u64;
    tally.points += after.point_sites as u64;
    tally.told += after.access_sites.len() as u64;
    tally.starts += u64::from(after.start_export.is_some());
    tally.moved += u64::from(!after.code_offsets_kept);
    let names: Vec<String> = Module::from_binary(engine, &bytes)
        .expect("a module that compiles")
        .exports()
        .map(|export| export.name().to_owned())
        .collect();
    let Some(before) = show(engine, &bytes, &names, |_, _| Ok(())) else {
        return;
    };
    let now = show(engine, &after.bytes, &names, |store, instance| {
        bind(&after, store, instance);
        match &after.start_export {
            Some(start) => instance
                .get_typed_func::<(), ()>(&mut *store, start)?
                .call(&mut *store, ()),
            None => Ok(()),
        }
    })
    .expect("the same imports");
    assert_eq!(before, now, "seed {seed}");
    tally.run += 1;
    for (_, came) in &before.calls {
        tally.calls += 1;
        if let Came::Trapped(trap) = came {
            *tally.traps.entry(format!("{trap:?}")).or_default() += 1;
        }
        assert_ne!(*came, Came::Trapped(Trap::StackOverflow), "seed {seed}");
    }
}

#[test]
fn random_modules_do_what_they_did() {
    let first = number("REWRITE_SMITH_SEED", 1);
    let modules = number("REWRITE_SMITH_MODULES", 500);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get() as u64);
    let tallies: Vec<Tally> = (0..workers)
        .map(|worker| {
            std::thread::Builder::new()
                // The guest's stack is 8 MiB of it.
                .stack_size(32 << 20)
                .spawn(move || {
                    let mut tally = Tally::default();
                    let mut engine = engine();
                    let mut seed = first + worker;
                    // Not every seed gives a module, so there may be more
                    // seeds than modules; but not endlessly many.
                    let share = modules.div_ceil(workers);
                    while tally.modules < share && seed < first + 20 * modules + 1000 {
                        one(&engine, seed, &mut tally);
                        seed += workers;
                        // An engine keeps the types it has seen.
                        if seed % 1000 < workers {
                            engine = self::engine();
                        }
                    }
                    assert_eq!(tally.modules, share, "{tally:?}");
                    tally
                })
                .expect("a host thread")
        })
        .collect::<Vec<_>>()
        .into_iter()
        .map(|thread| thread.join().expect("no difference"))
        .collect();
    let mut all = Tally::default();
    for tally in tallies {
        all.modules += tally.modules;
        all.rewritten += tally.rewritten;
        all.waits += tally.waits;
        all.bulk += tally.bulk;
        all.points += tally.points;
        all.told += tally.told;
        all.starts += tally.starts;
        all.moved += tally.moved;
        all.run += tally.run;
        all.calls += tally.calls;
        for (trap, count) in tally.traps {
            *all.traps.entry(trap).or_default() += count;
        }
    }
    eprintln!("{all:#?}");
    // It is a comparison only if there is something to compare.
    assert!(all.rewritten * 4 > all.modules, "{all:?}");
    let sites = all.waits.min(all.bulk);
    assert!(sites * 5 > all.modules && all.starts > 0, "{all:?}");
    assert!(all.points.min(all.told) > all.modules, "{all:?}");
    assert!(all.run * 2 > all.rewritten, "{all:?}");
}
