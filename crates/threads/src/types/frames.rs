//! Frames of wasm, from addresses in compiled code.

use std::fmt;
use std::ops::Range;

use wasmtime::Module;

/// Characters of a name that are written.
const MOST_OF_NAME: usize = 256;

/// A function of the guest that a thread is in, found without running any of its code.
#[derive(Clone, Debug)]
pub struct Frame {
    module: Module,
    func_index: u32,
    func_name: Option<String>,
    module_offset: Option<usize>,
}

impl Frame {
    /// The module whose function it is.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// The function's index in its module.
    pub fn func_index(&self) -> u32 {
        self.func_index
    }

    /// The function's name in the module's name section, as it is there.
    pub fn func_name(&self) -> Option<&str> {
        self.func_name.as_deref()
    }

    /// Where in the module's bytes it is, from their beginning; `None` where the engine keeps no such table
    /// (`Config::generate_address_map`). [`ThreadModule::original_offset`](crate::ThreadModule::original_offset) makes it an
    /// offset in the file that was prepared.
    pub fn module_offset(&self) -> Option<usize> {
        self.module_offset
    }
}

impl fmt::Display for Frame {
    /// As Wasmtime writes it, without files and lines; names are cut and escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.module_offset {
            write!(f, "{offset:#8x} - ")?;
        }
        if let Some(name) = self.module.name() {
            write_name(f, name)?;
            f.write_str("!")?;
        }
        match &self.func_name {
            Some(name) => write_name(f, name),
            None => write!(f, "<wasm function {}>", self.func_index),
        }
    }
}

/// Writes a name that the module brought: nothing of it moves a cursor or ends a line.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let mut rest = name.chars();
    for char in rest.by_ref().take(MOST_OF_NAME) {
        let plain =
            char.is_ascii_graphic() || char == ' ' || (char > '\u{9f}' && char.is_alphanumeric());
        match plain {
            true => write!(f, "{char}")?,
            false => write!(f, "{}", char.escape_unicode())?,
        }
    }
    match rest.next() {
        Some(_) => f.write_str("..."),
        None => Ok(()),
    }
}

/// What is where in the code of some modules.
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
        })
    }
}
