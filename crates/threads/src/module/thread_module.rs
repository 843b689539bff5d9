//! A compiled module, for groups. [`ThreadModule::from_unprepared`] takes one that was compiled
//! elsewhere.

use std::sync::Arc;

use wasmtime::{ExternType, Module};

use crate::module::prepared::Prepared;
use crate::rewrite::{AccessSite, Points, Recorded};
use crate::types::abi;

/// A compiled module and what a thread group has to know about it.
///
/// Cheap to clone: clones share one compiled module.
#[derive(Clone, Debug)]
pub struct ThreadModule {
    facts: Arc<Facts>,
}

#[derive(Debug)]
struct Facts {
    module: Module,
    entry: ThreadEntry,
    prepared: Option<Prepared>,
}

/// What a module exports as the first function of a new thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThreadEntry {
    /// `wasi_thread_start: (i32, i32) -> ()`, as wasi-threads asks for.
    Present,
    /// No export of that name, or one that is not a function.
    Missing,
    /// A function of that name with another type.
    WrongSignature,
}

impl ThreadModule {
    /// Takes a module that was compiled without [`prepare`](crate::prepare()), for instance a
    /// foreign `.cwasm`.
    ///
    /// Such a module has limits. Its `memory.atomic.wait`s park inside Wasmtime, where only a
    /// notify on the same address reaches them. So a group ends such threads by notifying every
    /// address of the memory, again and again until they are gone. If the module defines the shared
    /// memory itself, its threads are reached only if the module exports that memory, and only
    /// after instantiation (a start function may wait there). Otherwise only the grace period
    /// bounds the end. These waits appear in no report of a deadlock and in no statistics. The
    /// start function runs as part of each instantiation, and data segments are taken to be active,
    /// so no instance is made ahead of its thread. Large bulk memory operations run to their end.
    pub fn from_unprepared(module: Module) -> Self {
        Self::new(module, None)
    }

    pub(crate) fn new(module: Module, prepared: Option<Prepared>) -> Self {
        let entry = match module.get_export(abi::THREAD_START) {
            Some(ExternType::Func(ty)) if abi::THREAD_START_TYPE.is(&ty) => ThreadEntry::Present,
            Some(ExternType::Func(_)) => ThreadEntry::WrongSignature,
            _ => ThreadEntry::Missing,
        };
        ThreadModule {
            facts: Arc::new(Facts {
                module,
                entry,
                prepared,
            }),
        }
    }

    /// The compiled module.
    pub fn module(&self) -> &Module {
        &self.facts.module
    }

    /// Whether the module came through [`prepare`](crate::prepare()).
    pub fn is_prepared(&self) -> bool {
        self.facts.prepared.is_some()
    }

    /// Whether every wait and notify on a shared memory goes to the group. True also for a prepared
    /// module without waits; false for every unprepared one.
    pub fn waits_reach_group(&self) -> bool {
        self.facts
            .prepared
            .as_ref()
            .is_some_and(|p| p.waits_rewritten)
    }

    /// Where its threads pass points, by
    /// [`RewriteOptions::points`](crate::rewrite::RewriteOptions::points); a group with a
    /// [schedule](crate::schedule) needs points.
    pub fn points(&self) -> Option<Points> {
        self.facts.prepared.as_ref()?.points
    }

    /// Which accesses its threads tell of, by
    /// [`RewriteOptions::recorded`](crate::rewrite::RewriteOptions::recorded).
    pub fn recorded(&self) -> Option<Recorded> {
        self.facts.prepared.as_ref()?.recorded
    }

    /// The instructions that tell of their accesses.
    /// [`GuestAccess::site`](crate::schedule::GuestAccess::site) is an index into this list.
    pub fn access_sites(&self) -> &[AccessSite] {
        let prepared = self.facts.prepared.as_ref();
        prepared.map_or(&[], |prepared| &prepared.access_sites)
    }

    /// What the module exports as `wasi_thread_start`.
    pub fn thread_entry(&self) -> ThreadEntry {
        self.facts.entry
    }

    /// The export that was the module's start function, a function without
    /// parameters and results.
    ///
    /// Instantiation runs no guest code: the host calls this export after it has bound the waits,
    /// before any other export. `None` if the module had no start function, or is unprepared, in
    /// which case instantiation still runs it.
    pub fn start_export(&self) -> Option<&str> {
        self.facts.prepared.as_ref()?.start_export.as_deref()
    }

    /// Whether an export is the guest's own, by its name, and not one that the rewrite appended.
    ///
    /// Appended exports are for the group alone: a guest with the table of another module's waits
    /// could redirect them.
    pub fn is_guest_export(&self, name: &str) -> bool {
        let appended = self.facts.prepared.as_ref().map(|p| &p.appended_exports);
        appended.is_none_or(|names| names.iter().all(|appended| appended != name))
    }

    /// Whether instantiating the module can be seen by other threads: it runs a
    /// start function, or writes active data segments into a shared memory.
    ///
    /// An instance may be made ahead of its thread only if this is false. It is true for every
    /// unprepared module, because the types of its data segments are not known.
    pub fn instantiation_is_visible(&self) -> bool {
        match &self.facts.prepared {
            Some(p) => p.start_inside || p.active_data_on_shared,
            None => true,
        }
    }

    /// Whether the function with this index (as in `FrameInfo::func_index`) is the guest's own, and
    /// not one that the rewrite appended.
    ///
    /// The backtrace of a wait or a bulk memory operation begins with an appended function. The
    /// frames behind it are those of the original module.
    pub fn is_guest_function(&self, index: u32) -> bool {
        self.first_appended_function()
            .is_none_or(|first| index < first)
    }

    /// How many elements the table has that the rewrite appended; `None` if it appended none.
    pub(crate) fn appended_table(&self) -> Option<usize> {
        let prepared = self.facts.prepared.as_ref()?;
        prepared.wait_table.as_ref()?;
        Some(prepared.table_elements())
    }

    /// The size in bytes of the memory that the rewrite appended; `None` if it appended none.
    pub(crate) fn appended_memory(&self) -> Option<usize> {
        let bytes = self.facts.prepared.as_ref()?.filter_bytes;
        usize::try_from(bytes).ok().filter(|bytes| *bytes > 0)
    }

    /// The index of the first function that the rewrite appended, if there is one. All later ones
    /// are appended too.
    pub(crate) fn first_appended_function(&self) -> Option<u32> {
        self.facts.prepared.as_ref()?.first_appended_function
    }

    /// Translates an offset in this module (as in `FrameInfo::module_offset`) into one in the file
    /// that was prepared, in bytes. Only offsets in the guest's own functions have such a place;
    /// others are returned unchanged.
    pub fn original_offset(&self, offset: usize) -> usize {
        let map = self.facts.prepared.as_ref().map(|p| &p.code_map);
        map.and_then(|map| usize::try_from(map.original(offset as u64)?).ok())
            .unwrap_or(offset)
    }

    /// The results of the rewrite, if the module was prepared.
    pub(crate) fn prepared(&self) -> Option<&Prepared> {
        self.facts.prepared.as_ref()
    }
}
