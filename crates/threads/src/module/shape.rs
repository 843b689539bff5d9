//! Whether the threads of a module can share its memory: one check, for groups and for tools that
//! inspect modules.

use wasmtime::{ExternType, ImportType, MemoryType, Module};

use crate::module::extern_type::describe;
use crate::types::abi;
use crate::types::error::GroupError;

/// What decides whether a module can start threads.
///
/// [`of`](Self::of) makes it from a compiled module. A tool that reads the bytes of a module
/// instead fills it in.
///
/// ```
/// use wasi_threads::{GroupError, ModuleShape, SpawnImport};
///
/// let shape = ModuleShape {
///     spawn: Some(SpawnImport::AsDefined),
///     defines_memory: true,
///     ..ModuleShape::default()
/// };
/// assert!(matches!(
///     shape.refusals()[..],
///     [GroupError::MemoryNotImported, GroupError::MemoryNotExported]
/// ));
/// ```
#[derive(Clone, Debug, Default)]
pub struct ModuleShape {
    /// How `wasi.thread-spawn` is imported; `None` if it is not.
    pub spawn: Option<SpawnImport>,
    /// The imported memories, in order.
    pub memories: Vec<MemoryImport>,
    /// Whether it defines memories itself.
    pub defines_memory: bool,
    /// Which memory it exports as `memory`, on which WASI works; `None` if it exports none.
    pub exported_memory: Option<ExportedMemory>,
}

/// How a module imports `wasi.thread-spawn`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SpawnImport {
    /// As a function from i32 to i32.
    AsDefined,
    /// With another type, which is here as messages show it.
    Other(String),
}

/// A memory that a module imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryImport {
    /// The import's module.
    pub module: String,
    /// The import's name.
    pub name: String,
    /// Whether it is shared.
    pub shared: bool,
}

impl MemoryImport {
    pub(crate) fn of(import: &ImportType<'_>, ty: &MemoryType) -> Self {
        Self {
            module: import.module().to_owned(),
            name: import.name().to_owned(),
            shared: ty.is_shared(),
        }
    }
}

/// Which memory a module exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportedMemory {
    /// One that it imports.
    Imported,
    /// One that it defines.
    Own,
    /// Either one: a compiled module does not say which. A group finds out when it has made the
    /// main instance.
    Either,
}

impl ModuleShape {
    /// The shape of a compiled module.
    pub fn of(module: &Module) -> Self {
        let mut shape = Self {
            // Imported memories do not count here.
            defines_memory: module.resources_required().num_memories > 0,
            ..Self::default()
        };
        for import in module.imports() {
            match import.ty() {
                ExternType::Memory(ty) => shape.memories.push(MemoryImport::of(&import, &ty)),
                ty if abi::is_spawn(import.module(), import.name()) => {
                    shape.spawn = Some(match ty.func() {
                        Some(ty) if abi::SPAWN_TYPE.is(ty) => SpawnImport::AsDefined,
                        _ => SpawnImport::Other(describe(&ty)),
                    });
                }
                _ => {}
            }
        }
        shape.exported_memory = match module.get_export(abi::MEMORY) {
            Some(ExternType::Memory(_)) if !shape.defines_memory => Some(ExportedMemory::Imported),
            Some(ExternType::Memory(ty)) => {
                let like_it = |import: &MemoryImport| import.shared == ty.is_shared();
                Some(match shape.memories.iter().any(like_it) {
                    true => ExportedMemory::Either,
                    false => ExportedMemory::Own,
                })
            }
            _ => None,
        };
        shape
    }

    /// Whether the module imports `wasi.thread-spawn`, of whatever type.
    pub fn spawns(&self) -> bool {
        self.spawn.is_some()
    }

    /// Every reason why a group refuses such a module; each message has the remedy. Empty for a
    /// module that starts no threads. A group reports the first.
    pub fn refusals(&self) -> Vec<GroupError> {
        let mut refusals: Vec<_> = self.spawn_refusal().into_iter().collect();
        if self.spawns() {
            refusals.extend(self.memory_refusals());
        }
        refusals
    }

    /// What is wrong with the import of `thread-spawn`.
    pub(crate) fn spawn_refusal(&self) -> Option<GroupError> {
        match &self.spawn {
            Some(SpawnImport::Other(found)) => Some(GroupError::SpawnType {
                found: found.clone(),
            }),
            Some(SpawnImport::AsDefined) | None => None,
        }
    }

    /// What keeps threads from sharing its memory, whether or not the module starts them.
    pub(crate) fn memory_refusals(&self) -> Vec<GroupError> {
        let mut refusals = Vec::new();
        let private = self.memories.iter().find(|import| !import.shared);
        match private {
            _ if self.memories.is_empty() => refusals.push(match self.defines_memory {
                true => GroupError::MemoryNotImported,
                false => GroupError::NoMemory,
            }),
            Some(MemoryImport { module, name, .. }) => {
                refusals.push(GroupError::MemoryNotShared {
                    module: module.clone(),
                    name: name.clone(),
                });
            }
            None => {}
        }
        match self.exported_memory {
            None => refusals.push(GroupError::MemoryNotExported),
            // WASI works on the exported one.
            Some(ExportedMemory::Own) if !self.memories.is_empty() => {
                refusals.push(GroupError::MemoryExportedIsOwn);
            }
            Some(_) => {}
        }
        refusals
    }
}
