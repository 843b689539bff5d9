//! Bugs of compilers that look like bugs of the host, for modules that say what built them.

use wasi_threads::abi;
use wasmparser::{KnownCustom, Parser, Payload};

/// A known bug of the compiler that built a module with threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every spawn fails.
    NoSpawn,
    /// Relative paths of several threads are mixed up.
    RelativePaths,
}

impl Fault {
    /// The bug and the remedy, in one line.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Fault::NoSpawn => {
                "it was built by rustc 1.94.0, in which every `thread::spawn` fails for this target: build it with 1.94.1 or newer"
            }
            Fault::RelativePaths => {
                "it was built by rustc 1.95, whose wasi-libc can open wrong files where several threads use relative paths: \
                 use absolute ones, or link a newer wasi-libc"
            }
        }
    }
}

/// The bug of the compiler that built `wasm`, if the module starts threads and names such a
/// compiler.
///
/// Reads only the heads of sections and the section about producers, so it is fast.
pub(crate) fn fault(wasm: &[u8]) -> Option<Fault> {
    let mut spawns = false;
    let mut rustc = None;
    let mut parser = Parser::new(0);
    let mut rest = wasm;
    loop {
        let wasmparser::Chunk::Parsed { consumed, payload } = parser.parse(rest, true).ok()? else {
            return None;
        };
        match payload {
            Payload::ImportSection(section) => {
                let mut imports = section.into_imports().filter_map(Result::ok);
                spawns |= imports.any(|import| abi::is_spawn(import.module, import.name));
            }
            Payload::CodeSectionStart { size, .. } => {
                parser.skip_section();
                rest = rest.get(consumed + size as usize..)?;
                continue;
            }
            Payload::CustomSection(section) => {
                if let KnownCustom::Producers(fields) = section.as_known() {
                    let values = fields
                        .into_iter()
                        .filter_map(Result::ok)
                        .flat_map(|field| field.values.into_iter().filter_map(Result::ok));
                    rustc = values
                        .filter(|value| value.name == "rustc")
                        .last()
                        .or(rustc);
                }
            }
            Payload::End(_) => break,
            _ => {}
        }
        rest = rest.get(consumed..)?;
    }
    // The commit and its date are behind the version.
    let version = rustc?.version.split(' ').next()?;
    match version {
        _ if !spawns => None,
        "1.94.0" => Some(Fault::NoSpawn),
        _ if version.starts_with("1.95.") => Some(Fault::RelativePaths),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fault, fault};
    use wasm_encoder::{Module, ProducersField, ProducersSection};

    const SPAWN: &str =
        r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) (func))"#;

    fn built_by(text: &str, version: &str) -> Vec<u8> {
        let mut field = ProducersField::new();
        field.value("rustc", version);
        let mut producers = ProducersSection::new();
        producers.field("processed-by", &field);
        let mut section = Module::new();
        section.section(&producers);
        let mut wasm = wat::parse_str(text).unwrap();
        // Without the preamble.
        wasm.extend_from_slice(&section.finish()[8..]);
        wasm
    }

    #[test]
    fn compilers_with_faults() {
        let of = |version: &str| fault(&built_by(SPAWN, version));
        assert_eq!(of("1.94.0 (4a4ef493e 2026-03-02)"), Some(Fault::NoSpawn));
        assert_eq!(of("1.94.1 (e408947bf 2026-03-25)"), None);
        assert_eq!(of("1.95.0"), Some(Fault::RelativePaths));
        assert_eq!(of("1.96.0"), None);
        assert_eq!(of(""), None);
        assert_eq!(fault(&built_by("(module (func))", "1.94.0")), None);
        let whole = built_by(SPAWN, "1.94.0");
        for length in 0..whole.len() {
            assert_eq!(fault(&whole[..length]), None, "{length}");
        }
    }
}
