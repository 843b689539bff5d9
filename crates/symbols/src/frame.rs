//! What is asked for, and what is told of it.

use std::fmt;
use std::sync::Arc;

use crate::dwarf::Known;
use crate::limits::Bound;
use crate::sections::Symbols;

/// A place in a module's code that is looked up: a frame of a backtrace.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) function: u32,
    pub(crate) offset: Option<u64>,
    pub(crate) module_name: Option<String>,
    pub(crate) function_name: Option<String>,
    pub(crate) symbols: Option<Arc<Symbols>>,
    pub(crate) known: Vec<Known>,
}

impl Place {
    /// In a function, by its index in the module (Wasmtime: `FrameInfo::func_index`).
    pub fn new(function: u32) -> Self {
        Place {
            function,
            offset: None,
            module_name: None,
            function_name: None,
            symbols: None,
            known: Vec::new(),
        }
    }

    /// Where in the module, in bytes from its beginning (Wasmtime: `FrameInfo::module_offset`).
    /// Without it there are no files and lines.
    pub fn offset(mut self, offset: usize) -> Self {
        self.offset = Some(offset as u64);
        self
    }

    /// What the module is called (Wasmtime: `Module::name`, and `<unknown>` where it has none).
    pub fn module_name(mut self, name: &str) -> Self {
        self.module_name = Some(name.to_owned());
        self
    }

    /// What the function is called in the module's name section (Wasmtime: `FrameInfo::func_name`),
    /// which is not looked for then.
    pub fn function_name(mut self, name: &str) -> Self {
        self.function_name = Some(name.to_owned());
        self
    }

    /// The module's bytes. Without them there is no more than the names above.
    pub fn symbols(mut self, symbols: &Arc<Symbols>) -> Self {
        self.symbols = Some(Arc::clone(symbols));
        self
    }

    /// A function at this place, with its file, its line and its column, that the caller has
    /// already looked up (Wasmtime: `FrameInfo::symbols`): the innermost inlined one first. If they
    /// are given, debug information is not read.
    pub fn source(
        mut self,
        name: Option<&str>,
        file: Option<&str>,
        line: Option<u32>,
        column: Option<u32>,
    ) -> Self {
        self.known.push(Known {
            name: name.map(str::to_owned),
            file: file.map(str::to_owned),
            line,
            column,
        });
        self
    }
}

/// A function in a frame: the one that was called, or one that was inlined into it. All text is
/// demangled, escaped and cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub(crate) name: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl Source {
    /// The function's name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The path of the file, as the compiler had it.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The line, from 1 on.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// The column, from 1 on; 0 is the line's beginning.
    pub fn column(&self) -> Option<u32> {
        self.column
    }
}

/// What is known of a [`Place`]. Written, it is as Wasmtime writes a frame, without its number.
#[derive(Clone, Debug)]
pub struct Frame {
    pub(crate) function: u32,
    pub(crate) offset: Option<u64>,
    pub(crate) module_name: Option<String>,
    pub(crate) function_name: Option<String>,
    pub(crate) sources: Arc<[Source]>,
}

impl Frame {
    /// The function's index in the module.
    pub fn function(&self) -> u32 {
        self.function
    }

    /// Where in the module, as it was asked.
    pub fn offset(&self) -> Option<u64> {
        self.offset
    }

    /// The module's name, escaped and cut.
    pub fn module_name(&self) -> Option<&str> {
        self.module_name.as_deref()
    }

    /// The function's name in the name section: demangled, escaped and cut.
    pub fn function_name(&self) -> Option<&str> {
        self.function_name.as_deref()
    }

    /// What debug information says: the innermost inlined function first, the function itself last.
    /// Empty if it says nothing, or if it has more than is looked at.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "{offset:#8x} - ")?;
        }
        let write_function = |f: &mut fmt::Formatter<'_>| match &self.function_name {
            Some(name) => f.write_str(name),
            None => write!(f, "<wasm function {}>", self.function),
        };
        if self.sources.is_empty() {
            if let Some(name) = &self.module_name {
                write!(f, "{name}!")?;
            }
            return write_function(f);
        }
        for (index, source) in self.sources.iter().enumerate() {
            if index > 0 {
                write!(f, "\n{:16}- ", "")?;
            }
            match &source.name {
                Some(name) => f.write_str(name)?,
                None if index == 0 => write_function(f)?,
                None => f.write_str("<inlined function>")?,
            }
            if let Some(file) = &source.file {
                write!(f, "\n{:20}at {file}", "")?;
                if let Some(line) = source.line {
                    write!(f, ":{line}")?;
                    if let Some(column) = source.column {
                        write!(f, ":{column}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The frames of one or more backtraces.
#[derive(Clone, Debug)]
pub struct Trace {
    pub(crate) frames: Vec<Frame>,
    pub(crate) exceeded: Option<Bound>,
}

impl Trace {
    /// A frame for each place, in the same order.
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// What was too large, so that something is missing; `None` if nothing is.
    pub fn exceeded(&self) -> Option<Bound> {
        self.exceeded
    }
}

impl fmt::Display for Trace {
    /// A numbered frame after the other, each on lines of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, frame) in self.frames.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}  {index:>3}: {frame}")?;
        }
        Ok(())
    }
}
