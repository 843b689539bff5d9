//! The engine and the cache that the options ask for.

use std::time::Duration;

use wasi_threads::Termination;
use wasmtime::{Cache, Config, PoolingAllocationConfig, WasmBacktraceDetails};
use wasmtime_cli_flags::CommonOptions;

use crate::args::legacy::LegacyCommon;
use crate::args::profiling::Profiling;
use crate::args::refused_options;
use crate::message::error_text::unusable_options;
use crate::message::{Message, Result};
use crate::module::cache;

/// Fills in the groups of options from the command line and the file of `--config`, and starts the
/// log.
pub(crate) fn fill_in(common: &mut CommonOptions) -> Result<()> {
    common
        .init_logging()
        .map_err(|error| unusable_options(&error))
}

/// The engine and the cache for `compile`: the same as for a run with these options.
pub(crate) fn for_compile(
    common: &mut CommonOptions,
    legacy: &LegacyCommon,
) -> Result<(Config, Option<Cache>)> {
    legacy.apply_logging(common);
    fill_in(common)?;
    legacy.apply(common);
    refused_options::check(common, refused_options::For::Compile)?;
    configure(common, None, None)
}

/// The engine and the cache that `-O -C -D -W` and `--profile` ask for, with what threads need.
pub(crate) fn configure(
    common: &mut CommonOptions,
    profile: Option<&Profiling>,
    timeout: Option<Duration>,
) -> Result<(Config, Option<Cache>)> {
    let wasm = &mut common.wasm;
    wasm.threads.get_or_insert(true);
    wasm.shared_memory.get_or_insert(true);
    // The code has no checks if a program that computes can be stopped without them.
    wasm.epoch_interruption
        .get_or_insert(!Termination::CAN_EXIT);
    let timeout = timeout.is_some() || wasm.timeout.is_some();
    if timeout && wasm.epoch_interruption == Some(false) && !Termination::CAN_EXIT {
        return Err(Message::usage("a timeout needs epoch interruption")
            .why("without it a computing thread cannot be stopped")
            .help("leave out `-W epoch-interruption=n`"));
    }
    // Beyond this the library's sum would wrap around.
    if common
        .wasm
        .max_wasm_stack
        .is_some_and(|bytes| bytes > isize::MAX as usize)
    {
        return Err(Message::usage("`-W max-wasm-stack` is too large")
            .why("no machine has so much memory")
            .help("give it in bytes"));
    }
    let for_debuggers = common.debug.debug_info == Some(true);
    let cache = cache::take(&mut common.codegen, for_debuggers)?;
    leave_room_for_preparation(common);
    let mut config = common
        .config(None)
        .map_err(|error| unusable_options(&error))?;
    // Wasmtime would read debug information without bounds, on the thread that traps.
    // `report/backtraces.rs` reads it instead, whatever the environment says.
    config.wasm_backtrace_details(WasmBacktraceDetails::Disable);
    if let Some(Profiling::Code(strategy)) = profile {
        config.profiler(*strategy);
    }
    Ok((config, cache))
}

/// How many elements the table has that the preparation appends for a shared memory: one for each
/// kind of wait.
const APPENDED_ELEMENTS: usize = 3;

/// Adds one table for each instance to the pooling allocator's settings: the one that the
/// preparation appends. The typed numbers are for the program.
fn leave_room_for_preparation(common: &mut CommonOptions) {
    let CommonOptions { opts, wasm, .. } = common;
    if opts.pooling_allocator != Some(true) {
        return;
    }
    let defaults = PoolingAllocationConfig::default();
    let in_each = &mut opts.pooling_max_tables_per_module;
    *in_each = Some((in_each.unwrap_or(defaults.get_max_tables_per_module())).saturating_add(1));
    let instances =
        (opts.pooling_total_core_instances).unwrap_or(defaults.get_total_core_instances());
    let in_all = &mut opts.pooling_total_tables;
    *in_all = Some((in_all.unwrap_or(defaults.get_total_tables())).saturating_add(instances));
    // The library uses the other option as the default of this one.
    let elements = opts.pooling_table_elements.or(wasm.max_table_elements);
    opts.pooling_table_elements = elements.map(|elements| elements.max(APPENDED_ELEMENTS));
}
