//! The memories a group's modules import: made, and defined.

use wasmtime::{Engine, Extern, Linker, Memory, SharedMemory, Store};

use crate::error::GroupError;
use crate::limits::Limits;
use crate::memory::same_memory;
use crate::shape::{MemoryImport, Shape};

/// Adds those of `found` that are not in `memories`: one memory may be imported under several names.
pub(crate) fn collect(memories: &mut Vec<SharedMemory>, found: &[Option<SharedMemory>]) {
    for memory in found.iter().flatten() {
        if !memories.iter().any(|other| same_memory(other, memory)) {
            memories.push(memory.clone());
        }
    }
}

/// Creates the shared memory `import` asks for. The limit is checked before anything is reserved.
pub(crate) fn create(
    engine: &Engine,
    import: &MemoryImport,
    limits: &Limits,
) -> Result<SharedMemory, GroupError> {
    if !engine.get_shared_memory() {
        return Err(GroupError::SharedMemoryDisabled);
    }
    // A shared memory without a maximum does not validate.
    let pages = import.ty.maximum().unwrap_or(u64::MAX);
    let declared = pages.saturating_mul(import.ty.page_size());
    if let Some(limit) = limits.shared_memory
        && declared > limit
    {
        return Err(GroupError::SharedMemoryTooLarge { declared, limit });
    }
    SharedMemory::new(engine, import.ty.clone()).map_err(GroupError::Memory)
}

/// Defines every memory the module imports: the group's own, over what the linker says; the others
/// where neither the linker has one nor a preloaded module, which `provided` says. One entry for each, `None` for
/// one that is not shared, or not known before the instance is.
pub(crate) fn define<T: 'static>(
    linker: &mut Linker<T>,
    main: &mut Store<T>,
    shape: &Shape,
    memory: Option<&SharedMemory>,
    limits: &Limits,
    provided: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Option<SharedMemory>>, GroupError> {
    let mut imported: Vec<Option<SharedMemory>> = Vec::new();
    let mut own = memory;
    for (index, import) in shape.memories.iter().enumerate() {
        let (module, name) = (import.module.as_str(), import.name.as_str());
        let twin = shape.memories[..index]
            .iter()
            .position(|other| other.module == module && other.name == name);
        let found = match twin {
            // Each thread's own, or one the embedder shares: its waits are bound instance by instance.
            _ if provided(module, name) => None,
            // Imported a second time under the same name.
            Some(twin) => imported.get(twin).cloned().flatten(),
            None if import.ty.is_shared() => {
                let (shared, define) = match own.take() {
                    Some(own) => (own.clone(), true),
                    None => match linker.get(&mut *main, module, name).ok() {
                        Some(Extern::SharedMemory(theirs)) => (theirs, false),
                        _ => (create(main.engine(), import, limits)?, true),
                    },
                };
                if define {
                    linker
                        .define(&*main, module, name, shared.clone())
                        .map_err(GroupError::Link)?;
                }
                Some(shared)
            }
            None => {
                if linker.get(&mut *main, module, name).is_err() {
                    // Only modules without threads get here: the memory belongs to the main store.
                    let memory =
                        Memory::new(&mut *main, import.ty.clone()).map_err(GroupError::Memory)?;
                    linker
                        .define(&*main, module, name, memory)
                        .map_err(GroupError::Link)?;
                }
                None
            }
        };
        imported.push(found);
    }
    Ok(imported)
}
