//! Spellings of older `wasmtime` versions that name what is always on here.
//!
//! Wasmtime had three names for wasi-threads over time. Build scripts still
//! carry all of them, so all are taken, verbatim. The newest, `-S threads` and
//! `-W threads,shared-memory`, are ordinary options of `wasmtime-cli-flags`.

mod common;
mod fill_in;
mod names;
mod run;

pub(crate) use common::LegacyCommon;
pub(crate) use run::LegacyOptions;
