//! The text of `--version`.

use std::hash::{Hash, Hasher};

/// This program's version, and Wasmtime's if that can be found out: it takes an engine.
pub(crate) fn version() -> &'static str {
    let own = env!("CARGO_PKG_VERSION");
    let asked = std::env::args_os().any(|arg| arg == "--version" || arg == "-V");
    match asked.then(wasmtime_version).flatten() {
        // Leaked once in a process, which then ends.
        Some(theirs) => format!("{own} (Wasmtime {theirs})").leak(),
        None => own,
    }
}

/// The exact version of Wasmtime. There is no constant for it, but it is part of the hash of an
/// engine's compatibility: the hasher here records what is hashed.
fn wasmtime_version() -> Option<String> {
    #[derive(Default)]
    struct VersionFinder(Vec<String>);

    impl Hasher for VersionFinder {
        fn write(&mut self, bytes: &[u8]) {
            self.0
                .extend(std::str::from_utf8(bytes).ok().map(str::to_owned));
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut finder = VersionFinder::default();
    let engine = wasmtime::Engine::default();
    engine.precompile_compatibility_hash().hash(&mut finder);
    let numbers = |text: &String| {
        let mut parts = text.split('.');
        parts.clone().count() == 3 && parts.all(|part| part.parse::<u32>().is_ok())
    };
    finder.0.into_iter().find(numbers)
}
