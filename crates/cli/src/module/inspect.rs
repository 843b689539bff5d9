//! `inspect MODULE`: is it a program that can run here, and if not, what is missing.
//!
//! Reads the module without compiling it, so that it is quick for large ones, and
//! says what is there for modules that would not even link.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use p1_adapter::{P1CtxBuilder, P1State, add_to_linker_sync, add_unstable_to_linker_sync};
use wasmparser::{CompositeInnerType, ExternalKind, MemoryType, Parser, Payload, TypeRef};
use wasmtime::{Engine, ExternType, Linker, Store};

use crate::message::exit::Exit;
use crate::message::{Message, Result};
use crate::module::source::{Loaded, Source};
use crate::run::plan::first_line;

const PREVIEW1: &str = "wasi_snapshot_preview1";
/// What preview1 was called before.
const PREVIEW0: &str = "wasi_unstable";
const PAGE: u64 = 65536;
const START: &str = "_start";
const INITIALIZE: &str = "_initialize";
const THREAD_START: &str = "wasi_thread_start";
const THREAD_START_TYPE: &str = "(i32, i32) -> ()";
const SPAWN_TYPE: &str = "(i32) -> (i32)";
const REBUILD: &str = "as it was built for: build it with a current toolchain";

/// The types of WASI's functions, as text, by module and name.
type Known = HashMap<(String, String), String>;

/// What `run` links.
fn known() -> wasmtime::Result<Known> {
    let engine = Engine::default();
    let mut linker: Linker<P1State> = Linker::new(&engine);
    add_to_linker_sync(&mut linker, |state| state)?;
    add_unstable_to_linker_sync(&mut linker, |state| state)?;
    let mut store = Store::new(&engine, P1State::new(P1CtxBuilder::new().build()?));
    let functions: Vec<_> = linker
        .iter(&mut store)
        .map(|(module, name, item)| (module.to_owned(), name.to_owned(), item))
        .collect();
    let mut known = Known::new();
    for (module, name, item) in functions {
        if let ExternType::Func(ty) = item.ty(&store) {
            let params = ty.params().map(|ty| ty.to_string());
            let results = ty.results().map(|ty| ty.to_string());
            known.insert((module, name), function_type(params, results));
        }
    }
    Ok(known)
}

fn function_type(
    params: impl Iterator<Item = String>,
    results: impl Iterator<Item = String>,
) -> String {
    let list = |types: Vec<String>| types.join(", ");
    format!(
        "({}) -> ({})",
        list(params.collect()),
        list(results.collect())
    )
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// What of a module matters here.
#[derive(Debug, Default)]
struct Facts {
    /// Imported memories by the names they are imported under.
    imported_memories: Vec<(String, MemoryType)>,
    defined_memories: Vec<MemoryType>,
    /// Which of all memories is exported as `memory`.
    exported_memory: Option<u32>,
    /// The function types, as text; something else is none.
    types: Vec<Option<String>>,
    /// The type of every function, by its index.
    function_types: Vec<u32>,
    /// The type under which `thread-spawn` is imported.
    spawn: Option<u32>,
    /// The function exports that mean something to a host, and what else is exported under their names.
    exports: BTreeMap<String, Option<u32>>,
    /// Imported functions of WASI: module, name, type.
    preview1: Vec<(String, String, u32)>,
    /// Other imports, by module: their kind and name.
    other: BTreeMap<String, Vec<(&'static str, String)>>,
    functions: u32,
    active_segments: u32,
    passive_segments: u32,
    has_start_section: bool,
    names: bool,
    dwarf: bool,
}

impl Facts {
    fn of(wasm: &[u8]) -> wasmparser::Result<Self> {
        let mut facts = Facts::default();
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        facts.import(import.module, import.name, import.ty);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section {
                        facts.defined_memories.push(memory?);
                    }
                }
                Payload::TypeSection(section) => {
                    for group in section {
                        for ty in group?.into_types() {
                            facts.types.push(match ty.composite_type.inner {
                                CompositeInnerType::Func(ty) => {
                                    let params = ty.params().iter().map(ToString::to_string);
                                    let results = ty.results().iter().map(ToString::to_string);
                                    Some(function_type(params, results))
                                }
                                _ => None,
                            });
                        }
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match (export.name, export.kind) {
                            ("memory", ExternalKind::Memory) => {
                                facts.exported_memory = Some(export.index);
                            }
                            (THREAD_START | START | INITIALIZE | "", kind) => {
                                let function = kind == ExternalKind::Func;
                                let index = function.then_some(export.index);
                                facts.exports.insert(export.name.to_owned(), index);
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

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        let kind = match ty {
            TypeRef::Memory(ty) => {
                self.imported_memories
                    .push((format!("{module}.{name}"), ty));
                return;
            }
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.function_types.push(ty);
                match (module, name) {
                    ("wasi", "thread-spawn") => {
                        self.spawn = Some(ty);
                        return;
                    }
                    (PREVIEW1 | PREVIEW0, _) => {
                        self.preview1.push((module.to_owned(), name.to_owned(), ty));
                        return;
                    }
                    _ => "function",
                }
            }
            TypeRef::Global(_) => "global",
            TypeRef::Table(_) => "table",
            TypeRef::Tag(_) => "tag",
        };
        let others = self.other.entry(module.to_owned()).or_default();
        others.push((kind, name.to_owned()));
    }

    /// A function type, as text.
    fn type_of(&self, ty: u32) -> &str {
        let ty = self.types.get(ty as usize).and_then(Option::as_deref);
        ty.unwrap_or("no function type")
    }

    /// The type of the function exported as `name`, as text; `None` if there is no such export.
    fn exported(&self, name: &str) -> Option<&str> {
        let index = (*self.exports.get(name)?)?;
        let ty = self.function_types.get(index as usize)?;
        Some(self.type_of(*ty))
    }

    /// What keeps it from being a program that runs here, each with what to do about it.
    ///
    /// `known`: the functions of WASI that are here.
    fn missing(&self, known: &Known) -> Vec<String> {
        let mut missing: Vec<String> = Vec::new();
        let mut miss = |what: &str| missing.push(what.to_owned());
        let runs = [START, INITIALIZE, ""]
            .iter()
            .any(|name| self.exported(name).is_some());
        let only_starts =
            self.has_start_section && self.spawn.is_none() && self.preview1.is_empty();
        if !runs && !only_starts {
            miss("no `_start`: link it as a command");
        }
        if let Some(spawn) = self.spawn {
            if self.imported_memories.is_empty() {
                miss(match self.defined_memories.is_empty() {
                    true => "no memory: link with --import-memory",
                    false => "the memory is its own: link with --import-memory",
                });
            }
            if !self.imported_memories.iter().all(|(_, ty)| ty.shared)
                || self.imported_memories.is_empty()
            {
                miss("no shared memory: link with --shared-memory --max-memory=BYTES");
            }
            if self.exported(THREAD_START).is_none() {
                miss(
                    "no `wasi_thread_start`, so every spawn fails: link with --export=wasi_thread_start \
                     (wasi-libc for threads has it)",
                );
            }
            if let Some(index) = self.exported_memory
                && !self.imported_memories.is_empty()
                && index as usize >= self.imported_memories.len()
            {
                miss(
                    "the exported `memory` is not the imported one, so that each thread has its own: export the \
                     imported one, with --export-memory",
                );
            }
            if self.type_of(spawn) != SPAWN_TYPE {
                let ty = self.type_of(spawn);
                miss(&format!(
                    "`wasi.thread-spawn` is {SPAWN_TYPE}, and not {ty}, {REBUILD}"
                ));
            }
        }
        if self.exported_memory.is_none() && (self.spawn.is_some() || !self.preview1.is_empty()) {
            miss("no exported `memory`: link with --export-memory");
        }
        for (name, wanted) in [
            (START, "() -> ()"),
            (INITIALIZE, "() -> ()"),
            (THREAD_START, THREAD_START_TYPE),
        ] {
            match (self.exported(name), self.exports.get(name)) {
                (Some(ty), _) if ty != wanted => {
                    miss(&format!(
                        "`{name}` is {ty}, and not {wanted}: build it with a current toolchain"
                    ));
                }
                (None, Some(_)) => miss(&format!(
                    "`{name}` is no function: export the function under that name"
                )),
                _ => {}
            }
        }
        for (module, name, ty) in &self.preview1 {
            let ty = self.type_of(*ty);
            match known.get(&(module.clone(), name.clone())) {
                None => miss(&format!("`{module}` has no function `{name}`, {REBUILD}")),
                Some(there) if there != ty => miss(&format!(
                    "`{module}.{name}` is {there}, and not {ty}, {REBUILD}"
                )),
                Some(_) => {}
            }
        }
        for (module, others) in &self.other {
            for (kind, name) in others {
                miss(&format!(
                    "nothing provides the {kind} `{module}.{name}`: link it in, or run with `--preload {module}=MODULE`"
                ));
            }
        }
        missing
    }

    fn kind(&self) -> &'static str {
        if self.exported(INITIALIZE).is_some() && self.exported(START).is_none() {
            return "a library (a WASI reactor): name a function with --invoke";
        }
        match (self.spawn.is_some(), self.preview1.is_empty()) {
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
                if self.spawn.is_some() {
                    "imports"
                } else {
                    "does not import"
                },
                if self.exported(THREAD_START).is_some() {
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
                join(self.preview1.iter().map(|(_, name, _)| name))
            ),
        );
        for (module, names) in &self.other {
            row(
                "imports",
                format!("{module}: {}", join(names.iter().map(|(_, name)| name))),
            );
        }
        text
    }
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
    let facts = Facts::of(&wasm).map_err(|error| {
        Message::failure(format!("{name} cannot be inspected")).why(error.message())
    })?;
    let known = known().map_err(|error| {
        Message::failure(format!("{name} cannot be inspected")).why(first_line(&error))
    })?;
    let missing = facts.missing(&known);
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
    use super::{Facts, known};

    fn missing(text: &str) -> Vec<String> {
        let wasm = wat::parse_str(text).unwrap();
        Facts::of(&wasm).unwrap().missing(&known().unwrap())
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
