//! Older options of `run` alone.

use std::time::Duration;

use wasmtime_cli_flags::CommonOptions;

use super::common_options::LegacyCommon;
use super::fill_in::{given, on};
use crate::args::values::{DirOption, number, parse_duration};

/// Options that `wasmtime run` had before version 14.
#[derive(clap::Args)]
pub(crate) struct LegacyOptions {
    #[command(flatten)]
    common: LegacyCommon,

    /// `--dir HOST::GUEST` before Wasmtime 14, the other way round.
    #[arg(long, value_name = "GUEST::HOST", hide = true, value_parser = parse_mapdir)]
    mapdir: Vec<DirOption>,

    /// `-S tcplisten` before Wasmtime 14.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    tcplisten: Vec<String>,

    /// `-S listenfd` before Wasmtime 14.
    #[arg(long, hide = true)]
    listenfd: bool,

    /// `-W timeout` before Wasmtime 14.
    #[arg(long, value_name = "TIME", hide = true, value_parser = parse_duration)]
    wasm_timeout: Option<Duration>,

    /// `-W unknown-imports-trap` before Wasmtime 14.
    #[arg(long, hide = true)]
    trap_unknown_imports: bool,

    /// `-W unknown-imports-default` before Wasmtime 14.
    #[arg(long, hide = true)]
    default_values_unknown_imports: bool,

    /// `-W unknown-exports-allow` before Wasmtime 14.
    #[arg(long, hide = true)]
    allow_unknown_exports: bool,

    /// `-D coredump` before Wasmtime 14.
    #[arg(long, value_name = "FILE", hide = true)]
    coredump_on_trap: Option<String>,

    /// `-W max-memory-size` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<usize>)]
    max_memory_size: Option<usize>,

    /// `-W max-table-elements` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true, value_parser = number::<usize>)]
    max_table_elements: Option<usize>,

    /// `-W max-instances` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true, value_parser = number::<usize>)]
    max_instances: Option<usize>,

    /// `-W max-tables` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true, value_parser = number::<usize>)]
    max_tables: Option<usize>,

    /// `-W max-memories` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true, value_parser = number::<usize>)]
    max_memories: Option<usize>,

    /// `-W trap-on-grow-failure` before Wasmtime 14.
    #[arg(long, hide = true)]
    trap_on_grow_failure: bool,
}

fn parse_mapdir(typed: &str) -> Result<DirOption, String> {
    match typed.split_once("::") {
        Some((guest, host)) if !guest.is_empty() && !host.is_empty() => Ok(DirOption {
            host: host.into(),
            guest: guest.into(),
            read_only: false,
        }),
        _ => Err("expected GUEST::HOST".into()),
    }
}

impl LegacyOptions {
    /// The folders of `--mapdir`.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = DirOption> {
        self.mapdir.iter().cloned()
    }

    /// Whether `--listenfd` was given.
    pub(crate) fn listenfd(&self) -> bool {
        self.listenfd
    }

    /// Translates the options of the log into today's; see [`LegacyCommon::apply_logging`].
    pub(crate) fn apply_logging(&self, common: &mut CommonOptions) {
        self.common.apply_logging(common);
    }

    /// Translates the other options into today's.
    pub(crate) fn apply(&self, common: &mut CommonOptions) {
        self.common.apply(common);
        common.wasi.tcplisten.extend_from_slice(&self.tcplisten);
        given(&mut common.debug.coredump, &self.coredump_on_trap);
        let wasm = &mut common.wasm;
        on(&mut wasm.unknown_imports_trap, self.trap_unknown_imports);
        on(
            &mut wasm.unknown_imports_default,
            self.default_values_unknown_imports,
        );
        on(&mut wasm.unknown_exports_allow, self.allow_unknown_exports);
        on(&mut wasm.trap_on_grow_failure, self.trap_on_grow_failure);
        given(&mut wasm.timeout, &self.wasm_timeout);
        given(&mut wasm.max_memory_size, &self.max_memory_size);
        given(&mut wasm.max_table_elements, &self.max_table_elements);
        given(&mut wasm.max_instances, &self.max_instances);
        given(&mut wasm.max_tables, &self.max_tables);
        given(&mut wasm.max_memories, &self.max_memories);
    }
}
