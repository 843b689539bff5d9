//! What the functions of a WebAssembly module are called, and which lines of which files they come
//! from: for backtraces of untrusted modules.
//!
//! Debug information is input like any other, and can be hostile. A module of 8 KB can nest its
//! inlined functions so deeply that a reader which recurses overflows its stack; one of 1 MB can
//! make it take 6 GB. A mangled name of 300 bytes can stand for 69 MB of text, and a name can hold
//! escape sequences and line ends. Here all of it is read with [`Limits`], on a thread whose time
//! is limited, and what comes out is short and visible. What is too large is left out, and
//! [`Trace::exceeded`] says so.
//!
//! For what compilers write, frames are those that Wasmtime prints with its backtrace details on.
//! This crate replaces those details, so switch them off (`Config::wasm_backtrace_details`).
//! Otherwise Wasmtime reads the same bytes without limits, on the thread that trapped. The crate
//! does not depend on Wasmtime.
//!
//! ```
//! use std::sync::Arc;
//! use wasm_symbols::{Limits, Place, Printer, Symbols};
//!
//! # let module = b"\0asm\x01\0\0\0".to_vec();
//! // The bytes that were compiled: before any tool moved its code.
//! let symbols = Arc::new(Symbols::new(module));
//! // One for the process.
//! let printer = Printer::new(Limits::default());
//!
//! // For each frame of a backtrace. With Wasmtime they are `func_index`, `module_offset` and
//! // `func_name` of its `FrameInfo`.
//! let place = Place::new(7).offset(0x5e).function_name("_ZN1a1bEi").symbols(&symbols);
//! let trace = printer.look_up(vec![place]);
//! assert_eq!(trace.to_string(), "    0:     0x5e - a::b(int)");
//! assert_eq!(trace.exceeded(), None);
//! ```
//!
//! [`escape`] is for all other text of a module that reaches a terminal, a log or a file. Without
//! the feature `lookup` the crate has only that, and depends on nothing.

#![forbid(unsafe_code)]

mod escape;

#[cfg(feature = "lookup")]
mod demangle;
#[cfg(feature = "lookup")]
mod dwarf;
#[cfg(feature = "lookup")]
mod frame;
#[cfg(feature = "lookup")]
mod limits;
#[cfg(feature = "lookup")]
mod printer;
#[cfg(feature = "lookup")]
mod sections;

pub use crate::escape::{CUT, Escaped, NAME_CHARS, escape};
#[cfg(feature = "lookup")]
pub use crate::frame::{Frame, Place, Source, Trace};
#[cfg(feature = "lookup")]
pub use crate::limits::{Bound, Limits};
#[cfg(feature = "lookup")]
pub use crate::printer::Printer;
#[cfg(feature = "lookup")]
pub use crate::sections::Symbols;
