//! Frames of wasm, taken by Wasmtime or found from addresses in compiled code.

use std::fmt;
use std::ops::Range;

use wasm_symbols::{NAME_CHARS, escape};
use wasmtime::{FrameInfo, FrameSymbol, Module};

/// A function of the guest that a thread is in.
#[derive(Clone, Debug)]
pub struct Frame {
    module: Module,
    func_index: u32,
    func_name: Option<String>,
    module_offset: Option<usize>,
    sources: Vec<FrameSource>,
    /// Whether Wasmtime took it: then a module without a name is called `<unknown>`.
    taken: bool,
}

/// A function in a [`Frame`], from debug information that the engine looks up
/// (`Config::wasm_backtrace_details`): the function that was called, or one that was inlined into
/// it. All text is as the module has it, not escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameSource {
    /// The function's name, mangled.
    pub name: Option<String>,
    /// The path of the file.
    pub file: Option<String>,
    /// The line, from 1 on.
    pub line: Option<u32>,
    /// The column, from 1 on.
    pub column: Option<u32>,
}

impl Frame {
    /// The frame that Wasmtime took.
    pub(crate) fn taken(info: &FrameInfo) -> Self {
        let source = |symbol: &FrameSymbol| FrameSource {
            name: symbol.name().map(str::to_owned),
            file: symbol.file().map(str::to_owned),
            line: symbol.line(),
            column: symbol.column(),
        };
        Frame {
            module: info.module().clone(),
            func_index: info.func_index(),
            func_name: info.func_name().map(str::to_owned),
            module_offset: info.module_offset(),
            sources: info.symbols().iter().map(source).collect(),
            taken: true,
        }
    }

    /// The module whose function it is.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The module's name, not escaped. Without one: `<unknown>` if Wasmtime took the frame, as
    /// Wasmtime writes it, else `None`.
    pub fn module_name(&self) -> Option<&str> {
        self.module.name().or(self.taken.then_some("<unknown>"))
    }

    /// The function's index in its module.
    pub fn func_index(&self) -> u32 {
        self.func_index
    }

    /// The function's name in the module's name section, not escaped.
    pub fn func_name(&self) -> Option<&str> {
        self.func_name.as_deref()
    }

    /// Its offset in the module's bytes; `None` if the engine keeps no such table
    /// (`Config::generate_address_map`).
    /// [`ThreadModule::original_offset`](crate::ThreadModule::original_offset) turns it into an
    /// offset in the file that was prepared.
    pub fn module_offset(&self) -> Option<usize> {
        self.module_offset
    }

    /// The functions that the engine has looked up, the innermost inlined one first; empty if it
    /// looks nothing up.
    pub fn sources(&self) -> &[FrameSource] {
        &self.sources
    }
}

impl fmt::Display for Frame {
    /// As Wasmtime writes it, except that names are not demangled, and are cut and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.module_offset {
            write!(f, "{offset:#8x} - ")?;
        }
        let shown = |name| escape(name, NAME_CHARS);
        let write_function = |f: &mut fmt::Formatter<'_>| match &self.func_name {
            Some(name) => shown(name).fmt(f),
            None => write!(f, "<wasm function {}>", self.func_index),
        };
        if self.sources.is_empty() {
            if let Some(name) = self.module_name() {
                write!(f, "{}!", shown(name))?;
            }
            return write_function(f);
        }
        for (index, source) in self.sources.iter().enumerate() {
            if index > 0 {
                write!(f, "\n{:16}- ", "")?;
            }
            match &source.name {
                Some(name) => shown(name).fmt(f)?,
                None if index == 0 => write_function(f)?,
                None => f.write_str("<inlined function>")?,
            }
            if let Some(file) = &source.file {
                write!(f, "\n{:20}at {}", "", shown(file))?;
                for number in [source.line, source.column].into_iter().flatten() {
                    write!(f, ":{number}")?;
                }
            }
        }
        Ok(())
    }
}

/// Which function and which offset is where in the code of some modules.
#[derive(Debug)]
pub(crate) struct Tables(Vec<Table>);

#[derive(Debug)]
struct Table {
    module: Module,
    text: Range<usize>,
    /// Offset and length in the text, index, name; by offset.
    functions: Vec<(usize, usize, u32, Option<String>)>,
    /// Offset in the text, offset in the file; by the former.
    addresses: Vec<(usize, Option<u32>)>,
}

impl Tables {
    pub(crate) fn new(modules: &[Module]) -> Self {
        let table = |module: &Module| {
            let text = module.text().as_ptr_range();
            let functions = module.functions().map(|function| {
                let index = function.index.as_u32();
                (function.offset, function.len, index, function.name)
            });
            let mut functions: Vec<_> = functions.collect();
            functions.sort_unstable_by_key(|(offset, ..)| *offset);
            Table {
                text: text.start.addr()..text.end.addr(),
                functions,
                addresses: module
                    .address_map()
                    .map(Iterator::collect)
                    .unwrap_or_default(),
                module: module.clone(),
            }
        };
        Self(modules.iter().map(table).collect())
    }

    /// The function that `address` is in; `None` for a trampoline.
    pub(crate) fn frame(&self, address: usize) -> Option<Frame> {
        let table = self.0.iter().find(|table| table.text.contains(&address))?;
        let offset = address - table.text.start;
        let next = table
            .functions
            .partition_point(|(start, ..)| *start <= offset);
        let (start, len, index, name) = table.functions.get(next.checked_sub(1)?)?;
        if offset - start >= *len {
            return None;
        }
        let next = table
            .addresses
            .partition_point(|(start, _)| *start <= offset);
        let at = next.checked_sub(1).and_then(|at| table.addresses[at].1);
        Some(Frame {
            module: table.module.clone(),
            func_index: *index,
            func_name: name.clone(),
            module_offset: at.and_then(|at| usize::try_from(at).ok()),
            sources: Vec::new(),
            taken: false,
        })
    }
}
