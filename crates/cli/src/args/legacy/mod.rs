//! Options of older `wasmtime` versions.
//!
//! Wasmtime had three names for wasi-threads over time. Build scripts still use all of them, so all
//! are accepted. The newest, `-S threads` and `-W threads,shared-memory`, are ordinary options of
//! `wasmtime-cli-flags`.

mod common_options;
mod fill_in;
mod names;
mod run_options;

pub(crate) use common_options::LegacyCommon;
pub(crate) use run_options::LegacyOptions;
