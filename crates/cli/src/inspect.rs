//! `inspect MODULE`: is it a program that can run here, and if not, what is missing.
//!
//! Reads the module without compiling it, so that it is quick for large ones, and
//! says what is there for modules that would not even link.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync, add_unstable_to_linker_sync};
use wasmparser::{
    CompositeInnerType, ExternalKind, FuncType, MemoryType, Parser, Payload, TypeRef, ValType,
};
use wasmtime::{Engine, Linker, Store};

use crate::config::first_line;
use crate::exit::Exit;
use crate::load::{Loaded, Source};
use crate::message::{Message, Result};

const PREVIEW1: &str = "wasi_snapshot_preview1";
/// What preview1 was called before.
const PREVIEW0: &str = "wasi_unstable";
const PAGE: u64 = 65536;

/// What of a module matters here.
#[derive(Debug, Default)]
struct Facts {
    /// Imported memories by the names they are imported under.
    imported_memories: Vec<(String, MemoryType)>,
    defined_memories: Vec<MemoryType>,
    /// Which of all memories is exported as `memory`.
    exported_memory: Option<u32>,
    imports_spawn: bool,
    exports_thread_start: bool,
    exports_start: bool,
    exports_initialize: bool,
    preview1: Vec<String>,
    /// Other imported functions, by module.
    other: BTreeMap<String, Vec<String>>,
    /// The types of the type section; `None` for what is no function's.
    types: Vec<Option<FuncType>>,
    /// The type of each function, imported ones first.
    function_types: Vec<u32>,
    /// Functions with a fixed type, by what they are called here, and whether they have it.
    typed: Vec<Typed>,
    functions: u32,
    active_segments: u32,
    passive_segments: u32,
    has_start_section: bool,
    names: bool,
    dwarf: bool,
}

/// A function whose type is given by WASI.
#[derive(Debug)]
struct Typed {
    what: String,
    found: String,
    wanted: Signature,
}

/// Parameters and results.
type Signature = (Vec<ValType>, Vec<ValType>);

impl Facts {
    fn of(wasm: &[u8], provided: &Provided) -> wasmparser::Result<Self> {
        let mut facts = Facts::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::TypeSection(section) => {
                    for group in section {
                        facts.types.extend(group?.into_types().map(|ty| {
                            match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => Some(ty),
                                _ => None,
                            }
                        }));
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        facts.import(import.module, import.name, import.ty, provided);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        facts.defined_memories.push(memory?);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match (export.name, export.kind) {
                            ("memory", ExternalKind::Memory) => {
                                facts.exported_memory = Some(export.index);
                            }
                            ("wasi_thread_start", ExternalKind::Func) => {
                                facts.exports_thread_start = true;
                                let wanted = (vec![ValType::I32; 2], vec![]);
                                facts.typed("the export `wasi_thread_start`", export.index, wanted);
                            }
                            ("_start", ExternalKind::Func) => {
                                facts.exports_start = true;
                                facts.typed(
                                    "the export `_start`",
                                    export.index,
                                    Signature::default(),
                                );
                            }
                            ("_initialize", ExternalKind::Func) => {
                                facts.exports_initialize = true;
                                let wanted = Signature::default();
                                facts.typed("the export `_initialize`", export.index, wanted);
                            }
                            _ => {}
                        }
                    }
                }
                Payload::StartSection { .. } => facts.has_start_section = true,
                Payload::FunctionSection(section) => {
                    facts.functions = section.count();
                    for ty in section {
                        facts.function_types.push(ty?);
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        match data?.kind {
                            wasmparser::DataKind::Active { .. } => facts.active_segments += 1,
                            wasmparser::DataKind::Passive => facts.passive_segments += 1,
                        }
                    }
                }
                Payload::CustomSection(section) => {
                    facts.names |= section.name() == "name";
                    facts.dwarf |= section.name() == ".debug_info";
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef, provided: &Provided) {
        let function = match ty {
            TypeRef::Memory(ty) => {
                self.imported_memories
                    .push((format!("{module}.{name}"), ty));
                return;
            }
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.function_types.push(ty);
                Some(self.function_types.len() as u32 - 1)
            }
            _ => None,
        };
        let spawn = (module, name) == ("wasi", "thread-spawn");
        if let Some(function) = function {
            let wanted = match spawn {
                true => Some((vec![ValType::I32], vec![ValType::I32])),
                false => provided.get(&(module.to_owned(), name.to_owned())).cloned(),
            };
            if let Some(wanted) = wanted {
                self.typed(&format!("the import `{module}.{name}`"), function, wanted);
                match spawn {
                    true => self.imports_spawn = true,
                    false => self.preview1.push(name.to_owned()),
                }
                return;
            }
        }
        self.other
            .entry(module.to_owned())
            .or_default()
            .push(name.to_owned());
    }

    /// Notes a function that must have the type `wanted`, if it has another.
    fn typed(&mut self, what: &str, function: u32, wanted: Signature) {
        let ty = self.function_types.get(function as usize);
        let found = ty.and_then(|ty| self.types.get(*ty as usize)?.as_ref());
        // What is not there is for a validator to say.
        if let Some(found) = found
            && (found.params(), found.results()) != (&*wanted.0, &*wanted.1)
        {
            self.typed.push(Typed {
                what: what.to_owned(),
                found: describe_signature(found.params(), found.results()),
                wanted,
            });
        }
    }

    /// What keeps it from being a threaded program, each with what to do about it.
    fn missing(&self) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        let mut add = |line: &str| missing.push(line.to_owned());
        if !self.exports_start && !self.exports_initialize {
            add("no `_start`: link it as a command");
        }
        for (module, names) in &self.other {
            add(&match &**module {
                PREVIEW1 | PREVIEW0 => format!(
                    "`{module}` has no {}: build it with a current toolchain",
                    names.join(", ")
                ),
                _ => format!(
                    "nothing provides `{module}` ({}): link it in, or `--preload` a library under that name",
                    names.join(", ")
                ),
            });
        }
        for Typed {
            what,
            found,
            wanted,
        } in &self.typed
        {
            add(&format!(
                "{what} is {found}, and must be {}: build it with a current toolchain",
                describe_signature(&wanted.0, &wanted.1)
            ));
        }
        if self.imports_spawn {
            if self.imported_memories.is_empty() {
                add(match self.defined_memories.is_empty() {
                    true => "no memory: link with --import-memory",
                    false => "the memory is its own: link with --import-memory",
                });
            }
            if !self.imported_memories.iter().all(|(_, ty)| ty.shared)
                || self.imported_memories.is_empty()
            {
                add("no shared memory: link with --shared-memory --max-memory=BYTES");
            }
            if !self.exports_thread_start {
                add(
                    "no `wasi_thread_start`, so every spawn fails: link with --export=wasi_thread_start \
                     (wasi-libc for threads has it)",
                );
            }
        }
        if self.imports_spawn
            && let Some(index) = self.exported_memory
            && !self.imported_memories.is_empty()
            && index as usize >= self.imported_memories.len()
        {
            add(
                "the exported `memory` is not the imported one, so that each thread has its own: export the \
                 imported one, with --export-memory",
            );
        }
        if self.exported_memory.is_none() && (self.imports_spawn || !self.preview1.is_empty()) {
            add("no exported `memory`: link with --export-memory");
        }
        missing
    }

    fn kind(&self) -> &'static str {
        if self.exports_initialize && !self.exports_start {
            return "a library (a WASI reactor): name a function with --invoke";
        }
        match (self.imports_spawn, self.preview1.is_empty()) {
            (true, _) => "a wasi-threads program",
            (false, false) => "a WASI preview1 program without threads",
            (false, true) => "a module that uses neither threads nor WASI",
        }
    }

    fn describe(&self, name: &str) -> String {
        let mut text = format!("{name}: {}\n", self.kind());
        let mut row = |label: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<10} {value}");
        };
        for (place, ty) in &self.imported_memories {
            row(
                "memory",
                format!("imported as {place}, {}", describe_memory(ty)),
            );
        }
        for ty in &self.defined_memories {
            row("memory", format!("its own, {}", describe_memory(ty)));
        }
        row(
            "",
            match self.exported_memory {
                Some(_) => "exported as memory".into(),
                None => "not exported as memory".into(),
            },
        );
        row(
            "threads",
            format!(
                "{} wasi.thread-spawn, {} wasi_thread_start",
                if self.imports_spawn {
                    "imports"
                } else {
                    "does not import"
                },
                if self.exports_thread_start {
                    "exports"
                } else {
                    "does not export"
                },
            ),
        );
        row(
            "data",
            format!(
                "{} active and {} passive segments{}",
                self.active_segments,
                self.passive_segments,
                if self.has_start_section {
                    ", a start function"
                } else {
                    ""
                }
            ),
        );
        row(
            "code",
            format!(
                "{} functions, {} names, {} debug information",
                self.functions,
                if self.names { "with" } else { "without" },
                if self.dwarf { "with" } else { "without" },
            ),
        );
        row(
            "preview1",
            format!(
                "{} functions: {}",
                self.preview1.len(),
                self.preview1.join(" ")
            ),
        );
        for (module, names) in &self.other {
            row("imports", format!("{module}: {}", names.join(" ")));
        }
        text
    }
}

/// The functions of WASI that are there, with their types.
type Provided = BTreeMap<(String, String), Signature>;

fn provided() -> wasmtime::Result<Provided> {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;
    add_unstable_to_linker_sync(&mut linker, |state| state)?;
    let mut store = Store::new(&engine, P1State::new(P1CtxBuilder::new().build()?));
    let items: Vec<_> = linker
        .iter(&mut store)
        .map(|(module, name, item)| ((module.to_owned(), name.to_owned()), item))
        .collect();
    let mut provided = Provided::new();
    for (place, item) in items {
        if let Some(ty) = item.ty(&store).func() {
            let signature = (
                ty.params().map(value).collect(),
                ty.results().map(value).collect(),
            );
            provided.insert(place, signature);
        }
    }
    Ok(provided)
}

/// Preview1 has integers only.
fn value(ty: wasmtime::ValType) -> ValType {
    match ty {
        wasmtime::ValType::I64 => ValType::I64,
        _ => ValType::I32,
    }
}

fn describe_signature(params: &[ValType], results: &[ValType]) -> String {
    let list = |types: &[ValType]| {
        let types: Vec<String> = types.iter().map(ToString::to_string).collect();
        types.join(", ")
    };
    format!("({}) -> ({})", list(params), list(results))
}

fn describe_memory(ty: &MemoryType) -> String {
    let page = ty.page_size_log2.map_or(PAGE, |log2| 1 << log2);
    let size = |pages: u64| match pages.saturating_mul(page) {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes.div_ceil(1 << 10)),
    };
    let mut text = String::from(if ty.shared {
        "shared, "
    } else {
        "not shared, "
    });
    text += &size(ty.initial);
    text += &match ty.maximum {
        Some(maximum) => format!(" to {}", size(maximum)),
        None => " and more".into(),
    };
    if ty.memory64 {
        text += ", 64-bit";
    }
    text
}

/// Says what the module is on stdout; status 1 if something is missing.
pub(crate) fn inspect(source: &Source) -> Result<Exit> {
    let name = source.display();
    let Loaded::Wasm(wasm) = source.load()? else {
        return Err(Message::failure(format!("{name} cannot be inspected"))
            .why("it is precompiled: imports and exports are no longer there as such")
            .help("inspect the .wasm file it was made from"));
    };
    let provided = provided().map_err(|error| {
        Message::failure("the functions of WASI cannot be listed").why(first_line(&error))
    })?;
    let facts = Facts::of(&wasm, &provided).map_err(|error| {
        Message::failure(format!("{name} cannot be inspected")).why(error.message())
    })?;
    let missing = facts.missing();
    let mut text = facts.describe(&name);
    for line in &missing {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "missing: {line}");
    }
    if missing.is_empty() {
        text.push_str("nothing is missing\n");
    }
    crate::message::print(&text)?;
    Ok(if missing.is_empty() {
        Exit::Success
    } else {
        Exit::Failure
    })
}

#[cfg(test)]
mod tests {
    use super::{Facts, provided};

    fn missing(text: &str) -> Vec<String> {
        let wasm = wat::parse_str(text).unwrap();
        Facts::of(&wasm, &provided().unwrap()).unwrap().missing()
    }

    #[test]
    fn what_is_missing() {
        let spawn = r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#;
        assert_eq!(
            missing(&format!(
                r#"(module {spawn} (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
                   (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
            )),
            Vec::<String>::new()
        );
        let bare = missing(&format!("(module {spawn} (memory 1))"));
        for flag in [
            "_start",
            "--import-memory",
            "--shared-memory",
            "--export-memory",
            "wasi_thread_start",
        ] {
            assert!(
                bare.iter().any(|line| line.contains(flag)),
                "{flag}: {bare:?}"
            );
        }
        let own = missing(&format!(
            r#"(module {spawn} (import "env" "memory" (memory 1 1 shared)) (memory 1) (export "memory" (memory 1))
               (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
        ));
        assert_eq!(own.len(), 1, "{own:?}");
        assert!(own[0].starts_with("the exported `memory` is not the imported one"));
        assert_eq!(
            missing(r#"(module (memory (export "memory") 1) (func (export "_start")))"#),
            Vec::<String>::new()
        );
    }
}
