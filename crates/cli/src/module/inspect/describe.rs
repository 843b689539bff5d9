//! The description of a module, for people.

use std::fmt::Write as _;

use wasi_threads::MemoryImport;
use wasi_threads::abi::{INITIALIZE, START, THREAD_START};
use wasm_symbols::escape;
use wasmparser::MemoryType;

use super::facts::Facts;

const PAGE: u64 = 65536;

impl Facts {
    fn kind(&self) -> &'static str {
        if self.exported(INITIALIZE).is_some() && self.exported(START).is_none() {
            return "a library (a WASI reactor): name a function with --invoke";
        }
        match (self.spawn.is_some(), self.preview1.is_empty()) {
            (true, _) => "a wasi-threads program",
            (false, false) => "a WASI preview1 program without threads",
            (false, true) => "a module that uses neither threads nor WASI",
        }
    }

    pub(super) fn describe(&self, name: &str) -> String {
        let mut text = format!("{name}: {}\n", self.kind());
        let mut row = |label: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {label:<10} {}", escape(&value, usize::MAX));
        };
        for (import, ty) in &self.imported_memories {
            let MemoryImport { module, name, .. } = import;
            row(
                "memory",
                format!("imported as {module}.{name}, {}", describe_memory(ty)),
            );
        }
        for ty in &self.defined_memories {
            row("memory", format!("its own, {}", describe_memory(ty)));
        }
        row(
            "",
            match self.exported_memory {
                Some(_) => "exported as memory".into(),
                None => "not exported as memory".into(),
            },
        );
        row(
            "threads",
            format!(
                "{} wasi.thread-spawn, {} wasi_thread_start",
                if self.spawn.is_some() {
                    "imports"
                } else {
                    "does not import"
                },
                if self.exported(THREAD_START).is_some() {
                    "exports"
                } else {
                    "does not export"
                },
            ),
        );
        row(
            "data",
            format!(
                "{} active and {} passive segments{}",
                self.active_segments,
                self.passive_segments,
                if self.has_start_section {
                    ", a start function"
                } else {
                    ""
                }
            ),
        );
        row(
            "code",
            format!(
                "{} functions, {} names, {} debug information",
                self.functions,
                if self.names { "with" } else { "without" },
                if self.dwarf { "with" } else { "without" },
            ),
        );
        row(
            "preview1",
            format!(
                "{} functions: {}",
                self.preview1.len(),
                join(self.preview1.iter().map(|(_, name, _)| name))
            ),
        );
        for (module, names) in &self.other {
            row(
                "imports",
                format!("{module}: {}", join(names.iter().map(|(_, name)| name))),
            );
        }
        text
    }
}

fn describe_memory(ty: &MemoryType) -> String {
    let page = ty.page_size_log2.map_or(PAGE, |log2| 1 << log2);
    let size = |pages: u64| match pages.saturating_mul(page) {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes => format!("{} KiB", bytes.div_ceil(1 << 10)),
    };
    let mut text = String::from(if ty.shared {
        "shared, "
    } else {
        "not shared, "
    });
    text += &size(ty.initial);
    text += &match ty.maximum {
        Some(maximum) => format!(" to {}", size(maximum)),
        None => " and more".into(),
    };
    if ty.memory64 {
        text += ", 64-bit";
    }
    text
}

fn join<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}
