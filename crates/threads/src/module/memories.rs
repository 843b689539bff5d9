//! The memories of a module: those it imports, and those it defines.

use wasmtime::{ExternType, MemoryType};

use crate::module::shape::MemoryImport;
use crate::module::thread_module::ThreadModule;

/// The memories of a module that a group makes, limits or reaches.
#[derive(Clone, Debug)]
pub(crate) struct Memories {
    /// All that are imported, in order.
    pub(crate) imports: Vec<(MemoryImport, MemoryType)>,
    /// Whether it also defines memories, so that what it exports may be one of them.
    pub(crate) defines: bool,
    /// Names and types of the shared memories it exports, if it defines memories. The rewrite
    /// exports all shared ones.
    pub(crate) own_shared: Vec<(String, MemoryType)>,
    /// Whether it defines a memory whose type is hidden: the module is not prepared, and does not
    /// export it.
    pub(crate) hides: bool,
}

impl Memories {
    /// The memories of `module`.
    pub(crate) fn of(module: &ThreadModule) -> Self {
        let is_prepared = module.is_prepared();
        let module = module.module();
        let imports: Vec<_> = module
            .imports()
            .filter_map(|import| match import.ty() {
                ExternType::Memory(ty) => Some((MemoryImport::of(&import, &ty), ty)),
                _ => None,
            })
            .collect();
        let defined = module.resources_required().num_memories;
        // An export may be an imported memory, if an import has its type.
        let mut exported: Vec<_> = module
            .exports()
            .filter_map(|export| Some((export.name().to_owned(), export.ty().memory()?.clone())))
            .collect();
        let imported = |ty: &MemoryType| imports.iter().any(|(_, import)| import == ty);
        let surely_own = exported.iter().filter(|(_, ty)| !imported(ty)).count();
        let hides = !is_prepared && surely_own < defined as usize;
        exported.retain(|(_, ty)| defined > 0 && ty.is_shared());
        Memories {
            imports,
            defines: defined > 0,
            own_shared: exported,
            hides,
        }
    }

    /// The type of the memory the group's threads share: the first shared one that is imported.
    pub(crate) fn shared(&self) -> Option<&MemoryType> {
        let mut types = self.imports.iter().map(|(_, ty)| ty);
        types.find(|ty| ty.is_shared())
    }
}
