//! The facts of a module that matter here, read without compiling it.

use std::collections::BTreeMap;

use p1_adapter::{PREVIEW1_MODULE, UNSTABLE_MODULE};
use wasi_threads::abi::{INITIALIZE, MEMORY, SPAWN_TYPE, START, THREAD_START, is_spawn};
use wasi_threads::{ExportedMemory, MemoryImport, ModuleShape, SpawnImport};
use wasmparser::{CompositeInnerType, ExternalKind, MemoryType, Parser, Payload, TypeRef};

/// A function type, as text.
pub(super) fn function_type(
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

/// The facts of a module that matter here.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The imported memories, with their names and types.
    pub(super) imported_memories: Vec<(MemoryImport, MemoryType)>,
    pub(super) defined_memories: Vec<MemoryType>,
    /// The index of the memory that is exported as `memory`.
    pub(super) exported_memory: Option<u32>,
    /// The function types, as text; `None` for other types.
    pub(super) types: Vec<Option<String>>,
    /// The type of every function, by its index.
    pub(super) function_types: Vec<u32>,
    /// The type under which `thread-spawn` is imported.
    pub(super) spawn: Option<u32>,
    /// The exports with names that mean something to a host: the function's index, or `None` if it
    /// is no function.
    pub(super) exports: BTreeMap<String, Option<u32>>,
    /// Imported functions of WASI: module, name, type.
    pub(super) preview1: Vec<(String, String, u32)>,
    /// Other imports, by module: their kind and name.
    pub(super) other: BTreeMap<String, Vec<(&'static str, String)>>,
    pub(super) functions: u32,
    pub(super) active_segments: u32,
    pub(super) passive_segments: u32,
    pub(super) has_start_section: bool,
    pub(super) names: bool,
    pub(super) dwarf: bool,
}

impl Facts {
    pub(super) fn of(wasm: &[u8]) -> wasmparser::Result<Self> {
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
                            (MEMORY, ExternalKind::Memory) => {
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

    /// What decides whether its threads can share its memory.
    pub(super) fn shape(&self) -> ModuleShape {
        let spawn = self.spawn.map(|ty| match self.type_of(ty) {
            ty if ty == SPAWN_TYPE.to_string() => SpawnImport::AsDefined,
            other => SpawnImport::Other(other.to_owned()),
        });
        let imported = self.imported_memories.iter();
        ModuleShape {
            spawn,
            memories: imported.map(|(import, _)| import.clone()).collect(),
            defines_memory: !self.defined_memories.is_empty(),
            exported_memory: self.exported_memory.map(|index| {
                match (index as usize) < self.imported_memories.len() {
                    true => ExportedMemory::Imported,
                    false => ExportedMemory::Own,
                }
            }),
        }
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        let kind = match ty {
            TypeRef::Memory(ty) => {
                let import = MemoryImport {
                    module: module.to_owned(),
                    name: name.to_owned(),
                    shared: ty.shared,
                };
                self.imported_memories.push((import, ty));
                return;
            }
            TypeRef::Func(ty) | TypeRef::FuncExact(ty) => {
                self.function_types.push(ty);
                match module {
                    _ if is_spawn(module, name) => {
                        self.spawn = Some(ty);
                        return;
                    }
                    PREVIEW1_MODULE | UNSTABLE_MODULE => {
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
    pub(super) fn type_of(&self, ty: u32) -> &str {
        let ty = self.types.get(ty as usize).and_then(Option::as_deref);
        ty.unwrap_or("no function type")
    }

    /// The type of the function exported as `name`, as text; `None` if there is no such export.
    pub(super) fn exported(&self, name: &str) -> Option<&str> {
        let index = (*self.exports.get(name)?)?;
        let ty = self.function_types.get(index as usize)?;
        Some(self.type_of(*ty))
    }
}
