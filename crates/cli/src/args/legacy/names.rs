//! The names that `--wasi-modules` and `--wasm-features` take.

/// A value of `--wasi-modules`, which may have a `-` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WasiModule {
    /// The default of the option.
    Default,
    /// Preview1 itself.
    WasiCommon,
    /// `-S threads`.
    ExperimentalWasiThreads,
    /// `-S nn`.
    ExperimentalWasiNn,
    /// `-S http`.
    ExperimentalWasiHttp,
    /// wasi-crypto, which no version has any more.
    ExperimentalWasiCrypto,
}

/// A value of `--wasm-features`, which may have a `-` before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum WasmFeature {
    All,
    BulkMemory,
    /// Without meaning for a core module.
    ComponentModel,
    ExtendedConst,
    FunctionReferences,
    Memory64,
    MultiMemory,
    MultiValue,
    ReferenceTypes,
    RelaxedSimd,
    Simd,
    TailCall,
    Threads,
}

/// A value of an enumeration, switched off if it has a `-` before it.
fn signed<V: clap::ValueEnum>(typed: &str, had: &str) -> Result<(V, bool), String> {
    let (name, on) = match typed.strip_prefix('-') {
        Some(name) => (name, false),
        None => (typed, true),
    };
    let value = V::from_str(name, false).map_err(|_| format!("`{name}` is no {had}"))?;
    Ok((value, on))
}

pub(super) fn parse_feature(typed: &str) -> Result<(WasmFeature, bool), String> {
    signed(typed, "feature that Wasmtime 9 to 13 had under this option")
}

pub(super) fn parse_module(typed: &str) -> Result<(WasiModule, bool), String> {
    match signed(
        typed,
        "part of WASI that Wasmtime 9 to 13 had under this option",
    )? {
        (WasiModule::ExperimentalWasiCrypto, true) => {
            Err("no version of Wasmtime since 15 has wasi-crypto".into())
        }
        module => Ok(module),
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
        assert_eq!(
            parse_feature("component-model"),
            Ok((WasmFeature::ComponentModel, true))
        );
        assert!(parse_feature("module-linking").is_err());
    }

    #[test]
    fn modules() {
        assert_eq!(
            parse_module("-experimental-wasi-crypto"),
            Ok((WasiModule::ExperimentalWasiCrypto, false))
        );
        assert!(parse_module("experimental-wasi-crypto").is_err());
        assert!(parse_module("experimental-wasi-nothing").is_err());
    }
}
