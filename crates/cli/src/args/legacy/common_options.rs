//! Older options of all subcommands.

use wasmtime::OptLevel;
use wasmtime_cli_flags::CommonOptions;

use super::fill_in::{given, off, on};
use super::names::{WasiModule, WasmFeature, parse_feature, parse_module};

use crate::args::values::number;

/// Options that all subcommands had before version 14. (`-O` without a value is not one of them:
/// today it has a value.)
#[derive(clap::Args)]
pub(crate) struct LegacyCommon {
    /// The name of `-S` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_module)]
    wasi_modules: Vec<(WasiModule, bool)>,

    /// The name of `-W` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_feature)]
    wasm_features: Vec<(WasmFeature, bool)>,

    /// `-W fuel` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true, value_parser = number::<u64>)]
    fuel: Option<u64>,

    /// `-W epoch-interruption` before Wasmtime 14.
    #[arg(long, hide = true)]
    epoch_interruption: bool,

    /// `-W max-wasm-stack` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<usize>)]
    max_wasm_stack: Option<usize>,

    /// `-W nan-canonicalization` before Wasmtime 14.
    #[arg(long, hide = true)]
    enable_cranelift_nan_canonicalization: bool,

    /// `-W relaxed-simd-deterministic` before Wasmtime 14.
    #[arg(long, hide = true)]
    relaxed_simd_deterministic: bool,

    /// `-C cache=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_cache: bool,

    /// `-C parallel-compilation=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_parallel_compilation: bool,

    /// `-C cranelift-debug-verifier` before Wasmtime 14.
    #[arg(long, hide = true)]
    enable_cranelift_debug_verifier: bool,

    /// `-C cranelift-NAME` before Wasmtime 14.
    #[arg(long, value_name = "SETTING", hide = true)]
    cranelift_enable: Vec<String>,

    /// `-C cranelift-NAME=VALUE` before Wasmtime 14.
    #[arg(long, value_name = "NAME=VALUE", hide = true, value_parser = parse_setting)]
    cranelift_set: Vec<(String, String)>,

    /// `-D logging=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_logging: bool,

    /// `-D log-to-files` before Wasmtime 14.
    #[arg(long, hide = true)]
    log_to_files: bool,

    /// `-D address-map=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_address_map: bool,

    /// `-D debug-info` before Wasmtime 14.
    #[arg(long, hide = true)]
    debug_info: bool,

    /// `-O opt-level` before Wasmtime 14.
    #[arg(long, value_name = "LEVEL", hide = true, value_parser = number::<OptLevel>)]
    opt_level: Option<OptLevel>,

    /// `-O pooling-allocator` before Wasmtime 14.
    #[arg(long, hide = true)]
    pooling_allocator: bool,

    /// `-O memory-init-cow=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_memory_init_cow: bool,

    /// `-O memory-reservation` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<u64>)]
    static_memory_maximum_size: Option<u64>,

    /// `-O memory-may-move=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    static_memory_forced: bool,

    /// `-O memory-guard-size` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<u64>)]
    static_memory_guard_size: Option<u64>,

    /// `-O memory-guard-size` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<u64>)]
    dynamic_memory_guard_size: Option<u64>,

    /// `-O memory-reservation-for-growth` before Wasmtime 14.
    #[arg(long, value_name = "BYTES", hide = true, value_parser = number::<u64>)]
    dynamic_memory_reserved_for_growth: Option<u64>,
}

fn parse_setting(typed: &str) -> Result<(String, String), String> {
    match typed.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => Err("expected NAME=VALUE".into()),
    }
}

impl LegacyCommon {
    /// Translates the options of the log into today's. Must be called first, because reading
    /// today's options starts the log.
    pub(crate) fn apply_logging(&self, common: &mut CommonOptions) {
        off(&mut common.debug.logging, self.disable_logging);
        on(&mut common.debug.log_to_files, self.log_to_files);
    }

    /// Translates the other options into today's.
    pub(crate) fn apply(&self, common: &mut CommonOptions) {
        let wasi = &mut common.wasi;
        for &(module, on) in &self.wasi_modules {
            let option = match module {
                WasiModule::Default | WasiModule::ExperimentalWasiCrypto => continue,
                WasiModule::WasiCommon => &mut wasi.cli,
                WasiModule::ExperimentalWasiThreads => &mut wasi.threads,
                WasiModule::ExperimentalWasiNn => &mut wasi.nn,
                WasiModule::ExperimentalWasiHttp => &mut wasi.http,
            };
            *option = Some(on);
        }
        let wasm = &mut common.wasm;
        for &(feature, on) in &self.wasm_features {
            let option = match feature {
                WasmFeature::ComponentModel => continue,
                WasmFeature::All => &mut wasm.all_proposals,
                WasmFeature::BulkMemory => &mut wasm.bulk_memory,
                WasmFeature::ExtendedConst => &mut wasm.extended_const,
                WasmFeature::FunctionReferences => &mut wasm.function_references,
                WasmFeature::Memory64 => &mut wasm.memory64,
                WasmFeature::MultiMemory => &mut wasm.multi_memory,
                WasmFeature::MultiValue => &mut wasm.multi_value,
                WasmFeature::ReferenceTypes => &mut wasm.reference_types,
                WasmFeature::RelaxedSimd => &mut wasm.relaxed_simd,
                WasmFeature::Simd => &mut wasm.simd,
                WasmFeature::TailCall => &mut wasm.tail_call,
                WasmFeature::Threads => &mut wasm.threads,
            };
            *option = Some(on);
        }
        given(&mut wasm.fuel, &self.fuel);
        given(&mut wasm.max_wasm_stack, &self.max_wasm_stack);
        on(&mut wasm.epoch_interruption, self.epoch_interruption);
        on(
            &mut wasm.nan_canonicalization,
            self.enable_cranelift_nan_canonicalization,
        );
        on(
            &mut wasm.relaxed_simd_deterministic,
            self.relaxed_simd_deterministic,
        );
        let codegen = &mut common.codegen;
        off(&mut codegen.cache, self.disable_cache);
        off(
            &mut codegen.parallel_compilation,
            self.disable_parallel_compilation,
        );
        on(
            &mut codegen.cranelift_debug_verifier,
            self.enable_cranelift_debug_verifier,
        );
        let enabled = self
            .cranelift_enable
            .iter()
            .map(|name| (name.clone(), None));
        let set = self.cranelift_set.iter();
        let set = set.map(|(name, value)| (name.clone(), Some(value.clone())));
        codegen.cranelift.extend(enabled.chain(set));
        off(&mut common.debug.address_map, self.disable_address_map);
        on(&mut common.debug.debug_info, self.debug_info);
        let opts = &mut common.opts;
        given(&mut opts.opt_level, &self.opt_level);
        on(&mut opts.pooling_allocator, self.pooling_allocator);
        off(&mut opts.memory_init_cow, self.disable_memory_init_cow);
        off(&mut opts.memory_may_move, self.static_memory_forced);
        given(
            &mut opts.memory_reservation,
            &self.static_memory_maximum_size,
        );
        given(&mut opts.memory_guard_size, &self.static_memory_guard_size);
        given(&mut opts.memory_guard_size, &self.dynamic_memory_guard_size);
        given(
            &mut opts.memory_reservation_for_growth,
            &self.dynamic_memory_reserved_for_growth,
        );
    }
}
