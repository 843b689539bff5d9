//! Proposals of WebAssembly that a module needs and that are off: which, and what to do.

use wasmparser::{Validator, WasmFeatures};
use wasmtime::Engine;

/// Proposals that an option of `-W` with the same name turns on.
const OPTIONS: WasmFeatures = WasmFeatures::BULK_MEMORY
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::EXTENDED_CONST)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::MULTI_MEMORY)
    .union(WasmFeatures::MULTI_VALUE)
    .union(WasmFeatures::REFERENCE_TYPES)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::SIMD)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::THREADS)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(match HAS_COMPACT_IMPORTS {
        true => WasmFeatures::COMPACT_IMPORTS,
        false => WasmFeatures::empty(),
    });

/// Whether there is `-W compact-imports`.
const HAS_COMPACT_IMPORTS: bool = cfg!(wasmtime_50);

/// A proposal that a module needs and that is off.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    /// Why the module cannot be run.
    pub(crate) why: String,
    /// What to do.
    pub(crate) help: String,
}

/// The proposals that `wasm` needs and that are off in `engine`; none if the module is valid, or
/// invalid for another reason.
///
/// Validates the module once for each proposal that is off, so it is meant for modules that have
/// failed.
pub(crate) fn lacking(engine: &Engine, wasm: &[u8]) -> Vec<Lacking> {
    let valid = |features| {
        let mut validator = Validator::new_with_features(features);
        validator.validate_all(wasm).is_ok()
    };
    let on = engine.get_wasm_features();
    let all = WasmFeatures::all();
    if valid(on) || !valid(all) {
        return Vec::new();
    }
    // A proposal that is on by default was turned off by an option.
    let by_default = Engine::default().get_wasm_features();
    all.difference(on)
        .iter_names()
        .filter(|(_, feature)| !valid(all.difference(*feature)))
        .map(|(name, feature)| Lacking::of(name, feature, by_default.contains(feature)))
        .collect()
}

impl Lacking {
    fn of(name: &str, feature: WasmFeatures, turned_off: bool) -> Self {
        let words = name.to_ascii_lowercase().replace('_', " ");
        let option = name.to_ascii_lowercase().replace('_', "-");
        let (why, help) = match feature {
            WasmFeatures::LEGACY_EXCEPTIONS => (
                "it uses exceptions as they were before they became a standard, which Wasmtime does not have".to_owned(),
                "build it with `-mllvm -wasm-use-legacy-eh=false` (clang) or `-C llvm-args=-wasm-use-legacy-eh=false` \
                 (rustc), or translate it with `wasm-opt --translate-to-exnref`"
                    .to_owned(),
            ),
            WasmFeatures::THREADS if turned_off => (
                "it uses shared memory or atomics, and `-W threads=n` forbids that".to_owned(),
                "leave out `-W threads=n`".to_owned(),
            ),
            _ if !OPTIONS.contains(feature) => (
                format!(
                    "it uses the proposal \"{words}\", which Wasmtime {} does not have",
                    env!("CARGO_PKG_VERSION_MAJOR")
                ),
                "build it without".to_owned(),
            ),
            _ if turned_off => (
                format!("it uses the proposal \"{words}\", which the options turn off"),
                format!("leave out `-W {option}=n`, or `-W all-proposals=n`"),
            ),
            _ => (
                format!("it uses the proposal \"{words}\", which is off by default"),
                format!("`-W {option}` turns it on"),
            ),
        };
        Lacking { why, help }
    }
}

#[cfg(test)]
mod tests {
    use super::{HAS_COMPACT_IMPORTS, lacking};
    use wasmtime::{Config, Engine};

    #[test]
    fn who_needs_threads() {
        let mut config = Config::new();
        config.wasm_threads(false);
        let engine = Engine::new(&config).unwrap();
        for (text, needs) in [
            ("(module (memory 1))", false),
            ("(module (memory 1 1 shared))", true),
            (
                "(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))",
                true,
            ),
        ] {
            let lacking = lacking(&engine, &wat::parse_str(text).unwrap());
            let found: Vec<_> = lacking.iter().map(|lacking| &*lacking.help).collect();
            let expected: &[_] = if needs {
                &["leave out `-W threads=n`"]
            } else {
                &[]
            };
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn each_is_named_with_what_to_do() {
        for (text, why, help) in [
            (
                r#"(module (memory 1 (pagesize 1)))"#,
                "it uses the proposal \"custom page sizes\", which is off by default",
                "`-W custom-page-sizes` turns it on",
            ),
            (
                r#"(module (import "a" (item "b" (func)) (item "c" (func))))"#,
                match HAS_COMPACT_IMPORTS {
                    true => "it uses the proposal \"compact imports\", which is off by default",
                    false => concat!(
                        "it uses the proposal \"compact imports\", which Wasmtime ",
                        env!("CARGO_PKG_VERSION_MAJOR"),
                        " does not have"
                    ),
                },
                match HAS_COMPACT_IMPORTS {
                    true => "`-W compact-imports` turns it on",
                    false => "build it without",
                },
            ),
        ] {
            let lacking = lacking(&Engine::default(), &wat::parse_str(text).unwrap());
            let [found] = &lacking[..] else {
                panic!("{text}: {lacking:?}");
            };
            assert_eq!((&*found.why, &*found.help), (why, help));
        }
        // A module that is invalid for another reason lacks no proposal.
        let invalid = wat::parse_str("(module (func (drop (i32.add (i64.const 1)))))").unwrap();
        assert!(lacking(&Engine::default(), &invalid).is_empty());
        assert!(lacking(&Engine::default(), b"\0asm\x01\0\0\0").is_empty());
    }
}
