//! From the bytes of a module to a [`ThreadModule`], the only thing a thread
//! group takes.
//!
//! [`prepare`] rewrites ([`crate::rewrite`]), compiles, and keeps what the
//! group has to know about the module. [`ThreadModule::from_unprepared`] is the
//! door for a module somebody else compiled; [`preparation_compatibility_hash`]
//! is for whoever keeps prepared modules.

use std::hash::Hash;
use std::sync::Arc;

use wasmtime::{Engine, ExternType, MemoryType, Module, Precompiled, ValType};

use crate::module::compatibility::FINGERPRINT;
use crate::rewrite::{self, RewriteError, RewriteOptions, Rewritten, WaitSlot};

/// The module of the import by which a guest starts a thread.
pub(crate) const SPAWN_MODULE: &str = "wasi";
/// The name of the import by which a guest starts a thread.
pub(crate) const SPAWN_NAME: &str = "thread-spawn";
/// The export that a new thread begins in.
pub(crate) const THREAD_ENTRY: &str = "wasi_thread_start";

/// Why a module could not be prepared.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// The bytes are a module that wasmtime has compiled already, so there is
    /// nothing left to rewrite. It can be loaded with `Module::deserialize` and
    /// handed to [`ThreadModule::from_unprepared`].
    #[error("the module is precompiled: what is compiled can no longer be rewritten")]
    Precompiled,
    /// The rewrite refused the bytes: they are no valid core module.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// The rewritten module does not compile on this engine, mostly because it
    /// uses a feature that the engine has switched off.
    #[error("the module does not compile on this engine")]
    Compile(#[source] wasmtime::Error),
}

/// Rewrites a module as [`RewriteOptions::default`] says, and compiles it.
///
/// `bytes` are those of a WebAssembly binary; the text format is the caller's
/// to parse. Takes the time of a compilation, on the calling thread (and on
/// wasmtime's compiler threads, where those are enabled); locks nothing.
///
/// # Errors
///
/// See [`PrepareError`]; no input makes it panic.
pub fn prepare(engine: &Engine, bytes: &[u8]) -> Result<ThreadModule, PrepareError> {
    prepare_with(engine, bytes, &RewriteOptions::default())
}

/// [`prepare`] with a choice of what is rewritten.
///
/// A module whose waits are left alone ([`RewriteOptions::waits`]) can be ended
/// by the group only by waking every address, as an unprepared one.
///
/// # Errors
///
/// See [`PrepareError`].
pub fn prepare_with(
    engine: &Engine,
    bytes: &[u8],
    options: &RewriteOptions,
) -> Result<ThreadModule, PrepareError> {
    if matches!(
        Engine::detect_precompiled(bytes),
        Some(Precompiled::Module | Precompiled::Component)
    ) {
        return Err(PrepareError::Precompiled);
    }
    let rewritten = rewrite::rewrite_with(bytes, options)?;
    let module = Module::from_binary(engine, &rewritten.bytes).map_err(PrepareError::Compile)?;
    Ok(ThreadModule::new(module, Some(Prepared::of(&rewritten))))
}

/// What, besides the bytes of a module, decides what [`prepare_with`] makes of it: for the keys of a cache of prepared
/// modules ([`ThreadModule::serialize`]).
///
/// Where this and the bytes are the same, so is the module, and what was serialized can be deserialized: the engines
/// have the same compiler, settings and version of wasmtime, and the preparation has the same options and is made by the
/// same code. The counterpart of [`Engine::precompile_compatibility_hash`], which is part of it.
///
/// ```
/// use std::hash::{BuildHasher, RandomState};
/// use wasi_threads::preparation_compatibility_hash;
/// use wasi_threads::rewrite::RewriteOptions;
///
/// let engine = wasmtime::Engine::default();
/// let other = wasmtime::Engine::new(wasmtime::Config::new().epoch_interruption(true))?;
/// let options = RewriteOptions::default();
/// let hasher = RandomState::new();
/// assert_ne!(
///     hasher.hash_one(preparation_compatibility_hash(&engine, &options)),
///     hasher.hash_one(preparation_compatibility_hash(&other, &options)),
/// );
/// # Ok::<(), wasmtime::Error>(())
/// ```
pub fn preparation_compatibility_hash<'a>(
    engine: &'a Engine,
    options: &RewriteOptions,
) -> impl Hash + use<'a> {
    (
        engine.precompile_compatibility_hash(),
        env!("CARGO_PKG_VERSION"),
        FINGERPRINT,
        options.clone(),
    )
}

/// A compiled module and what a thread group has to know about it.
///
/// Cheap to clone: clones share one compiled module.
#[derive(Clone, Debug)]
pub struct ThreadModule {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    module: Module,
    shared_memories: Vec<ImportedMemory>,
    imports_spawn: bool,
    entry: ThreadEntry,
    prepared: Option<Prepared>,
}

/// What the rewrite said about a module.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) waits_rewritten: bool,
    pub(crate) wait_slots: Vec<WaitSlot>,
    pub(crate) wait_table: Option<String>,
    pub(crate) start_export: Option<String>,
    pub(crate) start_inside: bool,
    pub(crate) active_data_on_shared: bool,
    pub(crate) first_appended_function: Option<u32>,
    pub(crate) code_file_shift: i64,
}

impl Prepared {
    fn of(rewritten: &Rewritten<'_>) -> Self {
        Prepared {
            waits_rewritten: rewritten.waits_rewritten,
            wait_slots: rewritten.wait_slots.clone(),
            wait_table: rewritten.wait_table.clone(),
            start_export: rewritten.start_export.clone(),
            start_inside: rewritten.start_inside,
            active_data_on_shared: rewritten.active_data_on_shared,
            first_appended_function: rewritten.first_appended_function,
            code_file_shift: rewritten.code_file_shift,
        }
    }
}

/// A shared memory that a module imports.
#[derive(Clone, Debug)]
pub struct ImportedMemory {
    /// The import's module.
    pub module: String,
    /// The import's name.
    pub name: String,
    /// Its limits, index type and page size; shared by definition.
    pub ty: MemoryType,
}

/// What a module offers as the first function of a new thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadEntry {
    /// `wasi_thread_start: (i32, i32) -> ()`, as wasi-threads asks for.
    Present,
    /// No export of that name, or one that is not a function.
    Missing,
    /// A function of that name with another type.
    WrongSignature,
}

impl ThreadModule {
    /// Takes a module that was compiled without [`prepare`], for instance a
    /// foreign `.cwasm`.
    ///
    /// What it cannot do: its `memory.atomic.wait`s park inside wasmtime, where
    /// nothing but a notify on the very address reaches them, so a group ends
    /// such threads by notifying every address of the memory, again and again
    /// until they are gone. A thread that waits on a shared memory which the
    /// module defines itself is reached if the module exports it, and not
    /// before instantiation is over (its start function waits there, say):
    /// then only a grace period bounds the end. They appear in no stuck report
    /// and in no statistics. Its start function runs as part of each instantiation, and
    /// its data segments are taken to be active, so no instance is made ahead
    /// of its thread. Large bulk memory operations run to their end.
    pub fn from_unprepared(module: Module) -> Self {
        Self::new(module, None)
    }

    pub(crate) fn new(module: Module, prepared: Option<Prepared>) -> Self {
        let mut shared_memories = Vec::new();
        let mut imports_spawn = false;
        for import in module.imports() {
            match import.ty() {
                ExternType::Memory(ty) if ty.is_shared() => shared_memories.push(ImportedMemory {
                    module: import.module().to_owned(),
                    name: import.name().to_owned(),
                    ty,
                }),
                ExternType::Func(_)
                    if import.module() == SPAWN_MODULE && import.name() == SPAWN_NAME =>
                {
                    imports_spawn = true;
                }
                _ => {}
            }
        }
        let entry = match module.get_export(THREAD_ENTRY) {
            Some(ExternType::Func(ty)) => {
                let i32s = ty.params().filter(|t| matches!(t, ValType::I32)).count();
                if i32s == 2 && ty.params().len() == 2 && ty.results().len() == 0 {
                    ThreadEntry::Present
                } else {
                    ThreadEntry::WrongSignature
                }
            }
            _ => ThreadEntry::Missing,
        };
        ThreadModule {
            inner: Arc::new(Inner {
                module,
                shared_memories,
                imports_spawn,
                entry,
                prepared,
            }),
        }
    }

    /// The compiled module.
    pub fn module(&self) -> &Module {
        &self.inner.module
    }

    /// Whether the module came through [`prepare`].
    pub fn is_prepared(&self) -> bool {
        self.inner.prepared.is_some()
    }

    /// Whether every wait and notify on a shared memory goes to the group: true
    /// of a prepared module without any, false of every unprepared one.
    pub fn waits_reach_group(&self) -> bool {
        self.inner
            .prepared
            .as_ref()
            .is_some_and(|p| p.waits_rewritten)
    }

    /// The shared memories that the module imports, in the order of its imports.
    pub fn imported_shared_memories(&self) -> &[ImportedMemory] {
        &self.inner.shared_memories
    }

    /// Whether the module imports the function `wasi.thread-spawn`, of whatever
    /// type: a wrong type is reported when it is linked.
    pub fn imports_thread_spawn(&self) -> bool {
        self.inner.imports_spawn
    }

    /// What the module exports as `wasi_thread_start`.
    pub fn thread_entry(&self) -> ThreadEntry {
        self.inner.entry
    }

    /// The export that was the module's start function, a function without
    /// parameters and results.
    ///
    /// Whoever instantiates the module calls it, right after
    /// instantiation and the binding of the waits and before any
    /// other export: instantiation itself runs no guest code. `None` if the
    /// module had no start function, or is unprepared, in which case
    /// instantiation still runs it.
    pub fn start_export(&self) -> Option<&str> {
        self.inner.prepared.as_ref()?.start_export.as_deref()
    }

    /// Whether an export is the guest's own, by its name, and not one that the rewrite appended.
    pub fn is_guest_export(&self, name: &str) -> bool {
        let Some(prepared) = &self.inner.prepared else {
            return true;
        };
        // Memories that the guest exports as well are listed under the guest's names.
        let appended_memory = name.starts_with("wasi-threads:memory-")
            && (prepared.wait_slots.iter()).any(|slot| slot.memory_export == name);
        !appended_memory
            && prepared.start_export.as_deref() != Some(name)
            && prepared.wait_table.as_deref() != Some(name)
    }

    /// Whether instantiating the module can be seen by other threads: it runs a
    /// start function, or writes active data segments into a shared memory.
    ///
    /// Only where this is false may an instance be made before the guest asked
    /// for its thread. It is true of every unprepared module, because its data
    /// segments cannot be looked at.
    pub fn instantiation_is_visible(&self) -> bool {
        match &self.inner.prepared {
            Some(p) => p.start_inside || p.active_data_on_shared,
            None => true,
        }
    }

    /// Whether a function is the guest's own, by its index (as in
    /// `FrameInfo::func_index`), and not one that the rewrite appended.
    ///
    /// A backtrace out of a wait or a bulk memory operation has an appended
    /// function in front of the guest's frames, which are those of the module
    /// as it was.
    pub fn is_guest_function(&self, index: u32) -> bool {
        let appended = self.inner.prepared.as_ref();
        appended
            .and_then(|p| p.first_appended_function)
            .is_none_or(|first| index < first)
    }

    /// Whether an export is one that the rewrite appended, by its name.
    ///
    /// They are for the group: a guest that has the table of another module's waits could rewire them.
    pub fn is_appended_export(&self, name: &str) -> bool {
        self.inner.prepared.as_ref().is_some_and(|prepared| {
            prepared.wait_table.as_deref() == Some(name)
                || prepared.start_export.as_deref() == Some(name)
                || name.starts_with(rewrite::MEMORY_EXPORT)
        })
    }

    /// Where a place in the code of this module (as in
    /// `FrameInfo::module_offset`) is in the file that was prepared, in bytes
    /// from its beginning. Of meaning only for the guest's own functions.
    pub fn original_offset(&self, offset: usize) -> usize {
        let shift = self
            .inner
            .prepared
            .as_ref()
            .map_or(0, |p| p.code_file_shift);
        (offset as i64).saturating_sub(shift).max(0) as usize
    }

    /// What the rewrite said, if there was one.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        self.inner.prepared.as_ref()
    }
}
