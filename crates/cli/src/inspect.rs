//! `inspect MODULE`: is it a program that can run here, and if not, what is missing.
//!
//! Reads the module without compiling it, so that it is quick for large ones, and
//! says what is there for modules that would not even link.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use wasmparser::{ExternalKind, MemoryType, Parser, Payload, TypeRef};

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
                Payload::ExportSection(section) => {
                    for export in section {
                        let export = export?;
                        match (export.name, export.kind) {
                            ("memory", ExternalKind::Memory) => {
                                facts.exported_memory = Some(export.index);
                            }
                            ("wasi_thread_start", ExternalKind::Func) => {
                                facts.exports_thread_start = true;
                            }
                            ("_start", ExternalKind::Func) => facts.exports_start = true,
                            ("_initialize", ExternalKind::Func) => facts.exports_initialize = true,
                            _ => {}
                        }
                    }
                }
                Payload::StartSection { .. } => facts.has_start_section = true,
                Payload::FunctionSection(section) => facts.functions = section.count(),
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
        match ty {
            TypeRef::Memory(ty) => self
                .imported_memories
                .push((format!("{module}.{name}"), ty)),
            TypeRef::Func(_) | TypeRef::FuncExact(_) => match (module, name) {
                ("wasi", "thread-spawn") => self.imports_spawn = true,
                (PREVIEW1 | PREVIEW0, _) => self.preview1.push(name.to_owned()),
                _ => self
                    .other
                    .entry(module.to_owned())
                    .or_default()
                    .push(name.to_owned()),
            },
            _ => self
                .other
                .entry(module.to_owned())
                .or_default()
                .push(name.to_owned()),
        }
    }

    /// What keeps it from being a threaded program, each with what to do about it.
    fn missing(&self) -> Vec<&'static str> {
        let mut missing = Vec::new();
        if !self.exports_start && !self.exports_initialize {
            missing.push("no `_start`: link it as a command");
        }
        if self.imports_spawn {
            if self.imported_memories.is_empty() {
                missing.push(match self.defined_memories.is_empty() {
                    true => "no memory: link with --import-memory",
                    false => "the memory is its own: link with --import-memory",
                });
            }
            if !self.imported_memories.iter().all(|(_, ty)| ty.shared)
                || self.imported_memories.is_empty()
            {
                missing.push("no shared memory: link with --shared-memory --max-memory=BYTES");
            }
            if !self.exports_thread_start {
                missing.push(
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
            missing.push(
                "the exported `memory` is not the imported one, so that each thread has its own: export the \
                 imported one, with --export-memory",
            );
        }
        if self.exported_memory.is_none() && (self.imports_spawn || !self.preview1.is_empty()) {
            missing.push("no exported `memory`: link with --export-memory");
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
    use super::Facts;

    fn missing(text: &str) -> Vec<&'static str> {
        let wasm = wat::parse_str(text).unwrap();
        Facts::of(&wasm).unwrap().missing()
    }

    #[test]
    fn what_is_missing() {
        let spawn = r#"(import "wasi" "thread-spawn" (func (param i32) (result i32)))"#;
        assert_eq!(
            missing(&format!(
                r#"(module {spawn} (import "env" "memory" (memory 1 1 shared)) (export "memory" (memory 0))
                   (func (export "_start")) (func (export "wasi_thread_start") (param i32 i32)))"#
            )),
            Vec::<&str>::new()
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
            Vec::<&str>::new()
        );
    }
}
