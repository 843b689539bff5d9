//! What the rewrite appends to a module: types, functions, one table, exports.

use std::collections::{BTreeMap, BTreeSet};

use wasm_encoder::{Encode, Function, ValType};

use crate::encode::{push_name, push_u32};
use crate::scan::Scan;
use crate::{RewriteError, names};

// Engines agree on these (JS API, "Implementation-defined Limits"), and
// wasmparser enforces them.
const MOST_TYPES: u64 = 1_000_000;
const MOST_FUNCTIONS: u64 = 1_000_000;
const MOST_EXPORTS: u64 = 1_000_000;
const MOST_TABLES: u64 = 100;
const MOST_GLOBALS: u64 = 1_000_000;
const MOST_MEMORIES: u64 = 100;
/// Bytes of a page.
const PAGE: u64 = 65536;

/// A kind of export, as the binary format numbers it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ExportKind {
    Function = 0,
    Table = 1,
    Memory = 2,
    Global = 3,
}

/// The things to append, and the indices they will have.
pub(crate) struct Appendix {
    first_type: u32,
    types: Vec<(Vec<ValType>, Vec<ValType>)>,
    first_function: u32,
    functions: Vec<(u32, Function)>,
    table: u32,
    table_entries: Option<u32>,
    first_global: u32,
    /// Values of mutable `i64`s.
    globals: Vec<i64>,
    memory: u32,
    memory_pages: Option<u64>,
    taken: BTreeSet<String>,
    exported_memories: BTreeMap<u32, String>,
    exports: Vec<(String, ExportKind, u32)>,
    exports_before: u64,
}

impl Appendix {
    pub(crate) fn new(scan: &Scan) -> Self {
        let mut exported_memories = BTreeMap::new();
        for (name, memory) in &scan.exports {
            if let Some(memory) = memory {
                exported_memories.entry(*memory).or_insert(name.clone());
            }
        }
        Appendix {
            first_type: scan.types,
            types: Vec::new(),
            first_function: scan.functions,
            functions: Vec::new(),
            table: scan.tables,
            table_entries: None,
            first_global: scan.globals,
            globals: Vec::new(),
            memory: scan.memories.len() as u32,
            memory_pages: None,
            taken: scan.exports.keys().cloned().collect(),
            exported_memories,
            exports: Vec::new(),
            exports_before: scan.exports.len() as u64,
        }
    }

    /// The index of a function type, which is appended when it is first asked for.
    pub(crate) fn function_type(&mut self, params: &[ValType], results: &[ValType]) -> u32 {
        let known = self
            .types
            .iter()
            .position(|(p, r)| p == params && r == results);
        let at = known.unwrap_or_else(|| {
            self.types.push((params.to_vec(), results.to_vec()));
            self.types.len() - 1
        });
        self.first_type + at as u32
    }

    /// The index that the next function will have.
    pub(crate) fn next_function(&self) -> u32 {
        self.first_function + self.functions.len() as u32
    }

    pub(crate) fn function(&mut self, ty: u32, body: Function) {
        self.functions.push((ty, body));
    }

    /// The index that the appended table has, if there will be one.
    pub(crate) fn table_index(&self) -> u32 {
        self.table
    }

    /// Appends the table, and exports it under the name returned.
    pub(crate) fn table(&mut self, entries: u32) -> String {
        self.table_entries = Some(entries);
        self.export(names::WAIT_TABLE, ExportKind::Table, self.table)
    }

    /// Appends a mutable `i64` that begins with this value; its index.
    pub(crate) fn global(&mut self, begin: i64) -> u32 {
        self.globals.push(begin);
        self.first_global + self.globals.len() as u32 - 1
    }

    /// Appends the one memory, which is not shared and cannot grow; its index.
    pub(crate) fn memory(&mut self, pages: u64) -> u32 {
        self.memory_pages = Some(pages);
        self.memory
    }

    /// The size of the appended memory; 0 if there is none.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.memory_pages.unwrap_or(0) * PAGE
    }

    /// The name under which a memory is exported; if there was none, there is
    /// now.
    pub(crate) fn memory_export(&mut self, memory: u32) -> String {
        if let Some(name) = self.exported_memories.get(&memory) {
            return name.clone();
        }
        let name = self.export(
            &format!("{}{memory}", names::MEMORY),
            ExportKind::Memory,
            memory,
        );
        self.exported_memories.insert(memory, name.clone());
        name
    }

    /// Exports something under `wish`. If the module has an export of that name already, a number
    /// is added.
    pub(crate) fn export(&mut self, wish: &str, kind: ExportKind, index: u32) -> String {
        let name = std::iter::once(wish.to_owned())
            .chain((1u64..).map(|number| format!("{wish}-{number}")))
            .find(|name| !self.taken.contains(name))
            .unwrap_or_else(|| wish.to_owned());
        self.taken.insert(name.clone());
        self.exports.push((name.clone(), kind, index));
        name
    }

    /// The names of the exports that were appended.
    pub(crate) fn export_names(&self) -> Vec<String> {
        self.exports.iter().map(|(name, ..)| name.clone()).collect()
    }

    /// Whether anything is exported that was not.
    pub(crate) fn has_exports(&self) -> bool {
        !self.exports.is_empty()
    }

    /// The first appended function, if there is any.
    pub(crate) fn first_function(&self) -> Option<u32> {
        (!self.functions.is_empty()).then_some(self.first_function)
    }

    /// Whether the module stays within the limits that engines have.
    pub(crate) fn check_limits(&self) -> Result<(), RewriteError> {
        let tables = u64::from(self.table) + u64::from(self.table_entries.is_some());
        let rows = [
            (
                "types",
                u64::from(self.first_type) + self.types.len() as u64,
                MOST_TYPES,
            ),
            (
                "functions",
                u64::from(self.first_function) + self.functions.len() as u64,
                MOST_FUNCTIONS,
            ),
            ("tables", tables, MOST_TABLES),
            (
                "globals",
                u64::from(self.first_global) + self.globals.len() as u64,
                MOST_GLOBALS,
            ),
            (
                "memories",
                u64::from(self.memory) + u64::from(self.memory_pages.is_some()),
                MOST_MEMORIES,
            ),
            (
                "exports",
                self.exports_before + self.exports.len() as u64,
                MOST_EXPORTS,
            ),
        ];
        for (what, count, limit) in rows {
            if count > limit {
                return Err(RewriteError::NoRoom { what, count, limit });
            }
        }
        Ok(())
    }

    /// Entries of the type section, and how many.
    pub(crate) fn type_entries(&self) -> (u32, Vec<u8>) {
        let mut out = Vec::new();
        for (params, results) in &self.types {
            out.push(0x60);
            for list in [params, results] {
                push_u32(&mut out, list.len() as u32);
                for ty in list {
                    ty.encode(&mut out);
                }
            }
        }
        (self.types.len() as u32, out)
    }

    /// Entries of the function section, and how many.
    pub(crate) fn function_entries(&self) -> (u32, Vec<u8>) {
        let mut out = Vec::new();
        for (ty, _) in &self.functions {
            push_u32(&mut out, *ty);
        }
        (self.functions.len() as u32, out)
    }

    /// Entries of the table section, and how many.
    pub(crate) fn table_entries(&self) -> (u32, Vec<u8>) {
        const FUNCREF: u8 = 0x70;
        const WITH_MAXIMUM: u8 = 0x01;
        let Some(entries) = self.table_entries else {
            return (0, Vec::new());
        };
        let mut out = vec![FUNCREF, WITH_MAXIMUM];
        push_u32(&mut out, entries);
        push_u32(&mut out, entries);
        (1, out)
    }

    /// Entries of the global section, and how many.
    pub(crate) fn global_entries(&self) -> (u32, Vec<u8>) {
        const I64: u8 = 0x7e;
        const MUTABLE: u8 = 0x01;
        const I64_CONST: u8 = 0x42;
        const END: u8 = 0x0b;
        let mut out = Vec::new();
        for begin in &self.globals {
            out.extend_from_slice(&[I64, MUTABLE, I64_CONST]);
            begin.encode(&mut out);
            out.push(END);
        }
        (self.globals.len() as u32, out)
    }

    /// Entries of the memory section, and how many.
    pub(crate) fn memory_entries(&self) -> (u32, Vec<u8>) {
        const WITH_MAXIMUM: u8 = 0x01;
        let Some(pages) = self.memory_pages else {
            return (0, Vec::new());
        };
        let mut out = vec![WITH_MAXIMUM];
        pages.encode(&mut out);
        pages.encode(&mut out);
        (1, out)
    }

    /// Entries of the export section, and how many.
    pub(crate) fn export_entries(&self) -> (u32, Vec<u8>) {
        let mut out = Vec::new();
        for (name, kind, index) in &self.exports {
            push_name(&mut out, name);
            out.push(*kind as u8);
            push_u32(&mut out, *index);
        }
        (self.exports.len() as u32, out)
    }

    /// Entries of the code section, and how many.
    pub(crate) fn code_entries(&self) -> (u32, Vec<u8>) {
        let mut out = Vec::new();
        for (_, body) in &self.functions {
            body.encode(&mut out);
        }
        (self.functions.len() as u32, out)
    }
}
