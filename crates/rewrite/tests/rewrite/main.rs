//! The rewrite of modules: what goes in against what comes out.
//!
//! [`both`] holds the comparison: a module as it was, run by wasmtime's own
//! instructions, beside the same module rewritten, whose waits end in host
//! functions that call wasmtime's own `SharedMemory` for each.

mod both;
mod bulk;
// clang compiles its modules while it runs, and there is none in wine.
#[cfg(unix)]
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
