//! Which frame of a Rust panic is the program's own: a dozen of the standard library's come first.

use wasm_symbols::Frame;

/// What names of Rust's library begin with, and of what it is built on.
const LIBRARY: [&str; 10] = [
    "std::", "core::", "alloc::", "__rust", "rust_", "_rust", "__rdl", "__rg", "abort", "panic_",
];

/// Fewer frames than that hide nothing.
const FEW: usize = 3;

/// Says under which number the first frame of the program's own is, if the innermost frames are those of a panic.
pub(crate) fn note(frames: &[Frame]) -> Option<String> {
    let mut panics = false;
    for (index, frame) in frames.iter().enumerate() {
        // The innermost inlined function first; without debug information, the function alone.
        let sources = frame.sources().iter().map(|source| {
            let name = source.name().or(frame.function_name());
            (name, source.file(), source.line())
        });
        let whole = frame.sources().is_empty();
        let whole = whole.then(|| (frame.function_name(), None, None));
        for (name, file, line) in sources.chain(whole) {
            let name = name?;
            if is_librarys(name, file) {
                panics |= name.contains("panic");
                continue;
            }
            let at = match (file, line) {
                (Some(file), Some(line)) => format!(", at {file}:{line}"),
                _ => String::new(),
            };
            let says = panics && index >= FEW;
            return says.then(|| {
                format!("note: the first frame of the program's own is {index}: {name}{at}")
            });
        }
    }
    None
}

fn is_librarys(name: &str, file: Option<&str>) -> bool {
    let plain = name.trim_start_matches('<');
    LIBRARY.iter().any(|library| plain.starts_with(library))
        || file.is_some_and(|file| file.contains("/rustc/") && file.contains("/library/"))
}

#[cfg(test)]
mod tests {
    use super::note;
    use wasm_symbols::{Limits, Place, Printer};

    fn said(names: &[&str]) -> Option<String> {
        let places = names
            .iter()
            .map(|name| Place::new(0).function_name(name))
            .collect();
        note(Printer::new(Limits::default()).look_up(places).frames())
    }

    #[test]
    fn a_panic_has_frames_of_the_library_first() {
        let panics = [
            "abort",
            "__rust_start_panic",
            "_ZN3std9panicking11begin_panic17h0123456789abcdefE",
            "_ZN3app4work17h0123456789abcdefE",
            "_start",
        ];
        let own = "note: the first frame of the program's own is 3: app::work::h0123456789abcdef";
        assert_eq!(said(&panics).as_deref(), Some(own));
        // An abort, few frames, and nothing but the library's.
        assert_eq!(said(&["abort", "abort", "abort", "work"]), None);
        assert_eq!(said(&["std::panicking", "work"]), None);
        assert_eq!(said(&["std::panicking"; 5]), None);
    }

    #[test]
    fn files_and_lines_are_named() {
        let library = Some("/rustc/59807616/library/std/src/thread.rs");
        let places = vec![
            Place::new(0).function_name("__rust_start_panic"),
            Place::new(1).function_name("abort"),
            Place::new(2).function_name("abort"),
            Place::new(3)
                .source(Some("spawn"), library, Some(7), Some(1))
                .source(Some("app::main"), Some("src/main.rs"), Some(9), Some(5)),
        ];
        let trace = Printer::new(Limits::default()).look_up(places);
        let own = "note: the first frame of the program's own is 3: app::main, at src/main.rs:9";
        assert_eq!(note(trace.frames()).as_deref(), Some(own));
    }
}
