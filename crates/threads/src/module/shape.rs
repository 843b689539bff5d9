//! What a module imports and exports, as far as a group cares.

use wasmtime::{ExternType, FuncType, MemoryType, Module, Val, ValType};

use crate::module::prepare::ThreadModule;
use crate::types::abi;
use crate::types::error::GroupError;

/// A memory import.
#[derive(Clone, Debug)]
pub(crate) struct MemoryImport {
    pub(crate) module: String,
    pub(crate) name: String,
    pub(crate) ty: MemoryType,
}

/// The imports and exports of a module that decide how its group is made.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    /// Whether the module imports `wasi.thread-spawn`.
    pub(crate) spawns: bool,
    /// All memory imports, in order.
    pub(crate) memories: Vec<MemoryImport>,
    /// Whether it also defines memories, so that what it exports may be one of them.
    pub(crate) defines_memory: bool,
    /// Names and types of the shared memories it exports, where it defines some. The rewrite exports all of them.
    pub(crate) own_shared: Vec<(String, MemoryType)>,
    /// Whether it defines a memory that cannot be looked at: it is not prepared, and does not export it.
    pub(crate) hides_memory: bool,
}

impl Shape {
    /// Looks at `module`.
    pub(crate) fn of(module: &ThreadModule) -> Result<Self, GroupError> {
        let is_prepared = module.is_prepared();
        let module = module.module();
        let mut spawns = false;
        let mut memories = Vec::new();
        for import in module.imports() {
            match import.ty() {
                ExternType::Memory(ty) => memories.push(MemoryImport {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                    ty,
                }),
                ty if import.module() == abi::SPAWN_MODULE && import.name() == abi::SPAWN_NAME => {
                    if !ty.func().is_some_and(|ty| is(ty, 1, 1)) {
                        return Err(GroupError::SpawnType {
                            found: describe(&ty),
                        });
                    }
                    spawns = true;
                }
                _ => {}
            }
        }
        let defined = module.resources_required().num_memories;
        // Each may be an imported one, if an import is of its type.
        let mut exported: Vec<_> = module
            .exports()
            .filter_map(|export| Some((export.name().to_owned(), export.ty().memory()?.clone())))
            .collect();
        let imports = |ty: &MemoryType| memories.iter().any(|import| import.ty == *ty);
        let surely_own = exported.iter().filter(|(_, ty)| !imports(ty)).count();
        let hides_memory = !is_prepared && surely_own < defined as usize;
        exported.retain(|(_, ty)| defined > 0 && ty.is_shared());
        Ok(Shape {
            spawns,
            memories,
            defines_memory: defined > 0,
            own_shared: exported,
            hides_memory,
        })
    }

    /// What a module that starts threads needs of its memory; an error names the linker flag it lacks.
    pub(crate) fn check_threaded(&self, module: &Module) -> Result<(), GroupError> {
        let exported = module.get_export(abi::MEMORY).and_then(|ty| match ty {
            ExternType::Memory(ty) => Some(ty),
            _ => None,
        });
        if self.memories.is_empty() {
            return Err(GroupError::MemoryNotImported);
        }
        if let Some(private) = self.memories.iter().find(|memory| !memory.ty.is_shared()) {
            return Err(GroupError::MemoryNotShared {
                module: private.module.clone(),
                name: private.name.clone(),
            });
        }
        match exported {
            None => Err(GroupError::MemoryNotExported),
            // A memory of its own beside an imported one: it is the exported one that WASI calls use.
            Some(ty) if !ty.is_shared() => Err(GroupError::MemoryNotImported),
            Some(_) => Ok(()),
        }
    }

    /// The memory the group's threads share: the first shared one that is imported.
    pub(crate) fn shared_memory(&self) -> Option<&MemoryImport> {
        self.memories.iter().find(|memory| memory.ty.is_shared())
    }
}

/// Whether `ty` takes `params` and returns `results` values, all of them i32.
pub(crate) fn is(ty: &FuncType, params: usize, results: usize) -> bool {
    let i32s = |mut types: Box<dyn Iterator<Item = ValType> + '_>, count: usize| {
        (0..count).all(|_| types.next().is_some_and(|ty| ty.is_i32())) && types.next().is_none()
    };
    i32s(Box::new(ty.params()), params) && i32s(Box::new(ty.results()), results)
}

/// Whether `params` fit the parameters of `ty`. Values of a store, which references are, fit nothing.
pub(crate) fn fits(ty: &FuncType, params: &[Val]) -> bool {
    ty.params().len() == params.len()
        && ty.params().zip(params).all(|(ty, value)| {
            matches!(
                (ty, value),
                (ValType::I32, Val::I32(_))
                    | (ValType::I64, Val::I64(_))
                    | (ValType::F32, Val::F32(_))
                    | (ValType::F64, Val::F64(_))
                    | (ValType::V128, Val::V128(_))
            )
        })
}

/// Whether `ty` takes or returns references, which belong to one store.
pub(crate) fn has_references(ty: &FuncType) -> bool {
    ty.params().chain(ty.results()).any(|ty| ty.is_ref())
}

/// A type as error messages show it.
pub(crate) fn describe(ty: &ExternType) -> String {
    match ty {
        ExternType::Func(ty) => format!("a function of type `{ty}`"),
        ExternType::Global(_) => "a global".to_owned(),
        ExternType::Table(_) => "a table".to_owned(),
        ExternType::Memory(_) => "a memory".to_owned(),
        ExternType::Tag(_) => "a tag".to_owned(),
    }
}
