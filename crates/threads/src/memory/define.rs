//! The memories of a group's modules: making and defining those they import, limiting and holding
//! those they define.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmtime::{
    Engine, Extern, Linker, Memory, MemoryType, MemoryTypeBuilder, SharedMemory, Store,
};

use crate::memory::words::same_memory;
use crate::module::memories::Memories;
use crate::types::error::GroupError;
use crate::types::limits::Limits;

/// Adds the memories in `found` that are not in `memories`: one memory may be imported under
/// several names.
pub(crate) fn collect(memories: &mut Vec<SharedMemory>, found: &[Option<SharedMemory>]) {
    for memory in found.iter().flatten() {
        if !memories.iter().any(|other| same_memory(other, memory)) {
            memories.push(memory.clone());
        }
    }
}

/// Checks the shared memories that a module may define itself against the limit, because Wasmtime
/// asks no limiter about their growth.
pub(crate) fn check_own(own: &Memories, limits: &Limits) -> Result<(), GroupError> {
    if limits.shared_memory.is_none() {
        return Ok(());
    }
    for (_, ty) in &own.own_shared {
        check(ty, limits)?;
    }
    match own.hides {
        true => Err(GroupError::MemoryHidden),
        false => Ok(()),
    }
}

fn check(ty: &MemoryType, limits: &Limits) -> Result<(), GroupError> {
    // A shared memory without a maximum does not validate.
    let pages = ty.maximum().unwrap_or(u64::MAX);
    let declared = pages.saturating_mul(ty.page_size());
    match limits.shared_memory {
        Some(limit) if declared > limit => {
            Err(GroupError::SharedMemoryTooLarge { declared, limit })
        }
        _ => Ok(()),
    }
}

/// `ty` with a maximum within `limit` bytes; unchanged if its minimum is more. An import takes a
/// memory with a lower maximum than it declares (WebAssembly, "Import matching").
fn clamped(ty: &MemoryType, limit: u64) -> MemoryType {
    let most = limit / ty.page_size();
    if ty.maximum().is_none_or(|maximum| maximum <= most) || ty.minimum() > most {
        return ty.clone();
    }
    let mut lower = MemoryTypeBuilder::new();
    lower
        .shared(true)
        .memory64(ty.is_64())
        .page_size_log2(ty.page_size_log2())
        .min(ty.minimum())
        .max(Some(most));
    // As valid as `ty` is.
    lower.build().unwrap_or_else(|_| ty.clone())
}

/// The shared memories that live instances define, in modules whose waits are Wasmtime's.
#[derive(Default)]
pub(crate) struct OwnMemories(Mutex<Held>);

#[derive(Default)]
struct Held {
    next: u64,
    memories: Vec<(u64, SharedMemory)>,
}

impl OwnMemories {
    /// Holds `memories` until the result is dropped.
    pub(crate) fn hold(self: &Arc<Self>, memories: Vec<SharedMemory>) -> Holding {
        let mut held = self.lock();
        held.next += 1;
        let key = held.next;
        held.memories
            .extend(memories.into_iter().map(|memory| (key, memory)));
        Holding(Arc::clone(self), key)
    }

    /// All that are held.
    pub(crate) fn all(&self) -> Vec<SharedMemory> {
        let held = self.lock();
        held.memories
            .iter()
            .map(|(_, memory)| memory.clone())
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`OwnMemories::hold`].
pub(crate) struct Holding(Arc<OwnMemories>, u64);

impl Drop for Holding {
    fn drop(&mut self) {
        let mut held = self.0.lock();
        held.memories.retain(|(key, _)| *key != self.1);
    }
}

/// Creates a shared memory of type `ty`, with a lower maximum if a budget has less left. The limit
/// is checked before anything is reserved.
pub(crate) fn create(
    engine: &Engine,
    ty: &MemoryType,
    limits: &Limits,
) -> Result<SharedMemory, GroupError> {
    if !engine.get_shared_memory() {
        return Err(GroupError::SharedMemoryDisabled);
    }
    let ty = match limits.shared_memory {
        Some(limit) if limits.clamp_shared_memory => clamped(ty, limit),
        _ => ty.clone(),
    };
    check(&ty, limits)?;
    let Some(budget) = &limits.budget else {
        return SharedMemory::new(engine, ty).map_err(GroupError::Memory);
    };
    let needed = ty.minimum().saturating_mul(ty.page_size());
    let none_left = || GroupError::BudgetExceeded { needed };
    let fitted = budget.fitted(&ty).ok_or_else(none_left)?;
    let memory = SharedMemory::new(engine, fitted).map_err(GroupError::Memory)?;
    match budget.count(&memory) {
        true => Ok(memory),
        false => Err(none_left()),
    }
}

/// Defines the memories that the module imports. The group's own replaces what the linker has;
/// another is defined if neither the linker nor a preloaded module (which `provided` tells) has it.
/// Returns an entry for each: `None` if the memory is not shared, or is known only with the
/// instance.
pub(crate) fn define<T: 'static>(
    linker: &mut Linker<T>,
    main: &mut Store<T>,
    memories: &Memories,
    memory: Option<&SharedMemory>,
    limits: &Limits,
    provided: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Option<SharedMemory>>, GroupError> {
    let mut imported: Vec<Option<SharedMemory>> = Vec::new();
    let mut own = memory;
    for (index, (import, ty)) in memories.imports.iter().enumerate() {
        let (module, name) = (import.module.as_str(), import.name.as_str());
        let twin = memories.imports[..index]
            .iter()
            .position(|(other, _)| other.module == module && other.name == name);
        let found = match twin {
            // Each thread's own, or one the embedder shares: waits are bound for each instance.
            _ if provided(module, name) => None,
            // Imported a second time under the same name.
            Some(twin) => imported.get(twin).cloned().flatten(),
            None if ty.is_shared() => {
                let (shared, define) = match own.take() {
                    Some(own) => (own.clone(), true),
                    None => match linker.get(&mut *main, module, name).ok() {
                        Some(Extern::SharedMemory(theirs)) => (theirs, false),
                        _ => (create(main.engine(), ty, limits)?, true),
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
                    // Only modules without threads get here, so the memory belongs to the main
                    // store.
                    let memory = Memory::new(&mut *main, ty.clone()).map_err(GroupError::Memory)?;
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
