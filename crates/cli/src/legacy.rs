//! Spellings of older `wasmtime` versions that name what is always on here.
//!
//! Wasmtime had three names for wasi-threads over time. Build scripts still
//! carry all of them, so all are taken, verbatim. The newest, `-S threads` and
//! `-W threads,shared-memory`, are ordinary options of `wasmtime-cli-flags`.

use wasmtime_cli_flags::CommonOptions;

/// Options that `wasmtime` had before version 14.
#[derive(clap::Args)]
pub(crate) struct LegacyOptions {
    /// The name of `-S` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',')]
    wasi_modules: Vec<WasiModule>,

    /// The name of `-W` before Wasmtime 14.
    #[arg(long, value_name = "NAMES", hide = true, value_delimiter = ',', allow_hyphen_values = true, value_parser = parse_feature)]
    wasm_features: Vec<(WasmFeature, bool)>,
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
    /// Says the same in today's words.
    pub(crate) fn apply(&self, common: &mut CommonOptions) {
        for module in &self.wasi_modules {
            match module {
                WasiModule::Default | WasiModule::WasiCommon => {}
                WasiModule::ExperimentalWasiThreads => common.wasi.threads = Some(true),
            }
        }
        let wasm = &mut common.wasm;
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
