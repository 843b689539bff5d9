//! The rewrite of modules: what goes in against what comes out.
//!
//! [`both`] holds the comparison: a module as it was, run by wasmtime's own
//! instructions, beside the same module rewritten, whose waits end in host
//! functions that call wasmtime's own `SharedMemory` for each.

mod both;
mod bulk;
mod dwarf;
mod encodings;
mod grown;
mod layout;
mod points;
mod races;
mod recording;
mod smith;
mod start;
mod waits;
