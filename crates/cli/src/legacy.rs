//! Spellings of older `wasmtime` versions that name what is always on here.
//!
//! Wasmtime had three names for wasi-threads over time. Build scripts still
//! carry all of them, so all are taken, verbatim. The newest, `-S threads` and
//! `-W threads,shared-memory`, are ordinary options of `wasmtime-cli-flags`.

use std::time::Duration;

use wasmtime_cli_flags::CommonOptions;

use crate::args::{Dir, parse_duration};

/// Options that `wasmtime` had before version 14.
#[derive(clap::Args)]
pub(crate) struct LegacyOptions {
    /// The name of `-S` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',')]
    wasi_modules: Vec<WasiModule>,

    /// The name of `-W` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_feature)]
    wasm_features: Vec<(WasmFeature, bool)>,

    /// `--dir HOST::GUEST` before Wasmtime 14, the other way round.
    #[arg(long, value_name = "GUEST::HOST", hide = true, value_parser = parse_mapdir)]
    mapdir: Vec<Dir>,

    /// `-S tcplisten` before Wasmtime 14.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    tcplisten: Vec<String>,

    /// `-S listenfd` before Wasmtime 14.
    #[arg(long, hide = true)]
    listenfd: bool,

    /// `-W timeout` before Wasmtime 14.
    #[arg(long, value_name = "TIME", hide = true, value_parser = parse_duration)]
    wasm_timeout: Option<Duration>,

    /// `-W fuel` before Wasmtime 14.
    #[arg(long, value_name = "N", hide = true)]
    fuel: Option<u64>,

    /// `-W unknown-imports-trap` before Wasmtime 14.
    #[arg(long, hide = true)]
    trap_unknown_imports: bool,

    /// `-W unknown-imports-default` before Wasmtime 14.
    #[arg(long, hide = true)]
    default_values_unknown_imports: bool,

    /// `-C cache=n` before Wasmtime 14.
    #[arg(long, hide = true)]
    disable_cache: bool,
}

/// A value of `--wasi-modules` that has a meaning here.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum WasiModule {
    /// What the option stood for when it was not given.
    Default,
    /// Preview1 itself.
    WasiCommon,
    /// `-S threads`.
    ExperimentalWasiThreads,
}

/// A value of `--wasm-features`, which may have a `-` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum WasmFeature {
    All,
    BulkMemory,
    Memory64,
    MultiMemory,
    MultiValue,
    ReferenceTypes,
    RelaxedSimd,
    Simd,
    TailCall,
    Threads,
}

fn parse_mapdir(typed: &str) -> Result<Dir, String> {
    match typed.split_once("::") {
        Some((guest, host)) if !guest.is_empty() && !host.is_empty() => Ok(Dir {
            host: host.into(),
            guest: guest.into(),
            read_only: false,
        }),
        _ => Err("it has two parts: GUEST::HOST".into()),
    }
}

fn parse_feature(typed: &str) -> Result<(WasmFeature, bool), String> {
    let (name, on) = match typed.strip_prefix('-') {
        Some(name) => (name, false),
        None => (typed, true),
    };
    let feature = <WasmFeature as clap::ValueEnum>::from_str(name, false)
        .map_err(|_| format!("`{name}` is no feature that this option ever had"))?;
    Ok((feature, on))
}

impl LegacyOptions {
    /// The folders of `--mapdir`.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = Dir> {
        self.mapdir.iter().cloned()
    }

    /// Says the same in today's words.
    pub(crate) fn apply(&self, common: &mut CommonOptions) {
        for module in &self.wasi_modules {
            match module {
                WasiModule::Default | WasiModule::WasiCommon => {}
                WasiModule::ExperimentalWasiThreads => common.wasi.threads = Some(true),
            }
        }
        common.wasi.tcplisten.extend_from_slice(&self.tcplisten);
        let on = |option: &mut Option<bool>, given: bool| {
            if given {
                *option = Some(true);
            }
        };
        on(&mut common.wasi.listenfd, self.listenfd);
        let wasm = &mut common.wasm;
        on(&mut wasm.unknown_imports_trap, self.trap_unknown_imports);
        on(
            &mut wasm.unknown_imports_default,
            self.default_values_unknown_imports,
        );
        wasm.timeout = wasm.timeout.or(self.wasm_timeout);
        wasm.fuel = wasm.fuel.or(self.fuel);
        if self.disable_cache {
            common.codegen.cache = Some(false);
        }
        for &(feature, on) in &self.wasm_features {
            let option = match feature {
                WasmFeature::All => &mut wasm.all_proposals,
                WasmFeature::BulkMemory => &mut wasm.bulk_memory,
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features() {
        assert_eq!(parse_feature("threads"), Ok((WasmFeature::Threads, true)));
        assert_eq!(
            parse_feature("-bulk-memory"),
            Ok((WasmFeature::BulkMemory, false))
        );
        assert!(parse_feature("module-linking").is_err());
    }
}
