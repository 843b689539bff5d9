//! Which frame of a Rust panic is the program's own. A dozen frames of the standard library come
//! first.

use std::borrow::Cow;

use wasm_symbols::Frame;

/// Prefixes of names in Rust's library and in the libraries it uses.
const LIBRARY: [&str; 10] = [
    "std::", "core::", "alloc::", "__rust", "rust_", "_rust", "__rdl", "__rg", "abort", "panic_",
];

/// Functions of C libraries and of Rust's library that start a program or a thread, and call the
/// program's own.
pub(super) const STARTS: [&str; 8] = [
    "_start",
    "_initialize",
    "__main_void",
    "__main_argc_argv",
    "__original_main",
    "main",
    "wasi_thread_start",
    "__wasi_thread_start_C",
];

/// The function in which Rust's library calls the program's own. Frames below it belong to the
/// library. If no frame above it is the program's, the program was inlined into it.
pub(super) const CALLS_OWN: &str = "__rust_begin_short_backtrace";

/// With fewer frames than this no note is needed.
const FEW: usize = 3;

/// A note with the number of the first frame of the program's own, if the innermost frames are
/// those of a panic.
pub(crate) fn note(frames: &[Frame]) -> Option<String> {
    let mut panics = false;
    for (index, frame) in frames.iter().enumerate() {
        // The innermost inlined function comes first; without debug information there is only the
        // function.
        let sources = frame.sources().iter().map(|source| {
            let name = source.name().or(frame.function_name());
            (name, source.file(), source.line())
        });
        let whole = frame.sources().is_empty();
        let whole = whole.then(|| (frame.function_name(), None, None));
        for (name, file, line) in sources.chain(whole) {
            let name = name?;
            if name.contains(CALLS_OWN) {
                return panics.then(|| {
                    format!("note: the program's own frames were inlined into {index}: {name}")
                });
            }
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

/// The first function of the program's own, with its file and line; the innermost function if there
/// is none.
pub(crate) fn place(frames: &[Frame]) -> String {
    let mut innermost = None;
    for frame in frames {
        let sources = frame.sources().iter().map(|source| {
            let name = source.name().or(frame.function_name());
            (name, source.file(), source.line())
        });
        let whole = frame.sources().is_empty();
        let whole = whole.then(|| (frame.function_name(), None, None));
        for (name, file, line) in sources.chain(whole) {
            let said = || {
                let unnamed = format!("function {}", frame.function());
                let name = name.unwrap_or(&unnamed);
                match (file, line, frame.offset()) {
                    (Some(file), Some(line), _) => format!("{name} at {file}:{line}"),
                    (.., Some(offset)) => format!("{name} at {offset:#x}"),
                    _ => name.to_owned(),
                }
            };
            // A start function with a file is the program's own `main`.
            let starts = name.is_some_and(|name| STARTS.contains(&name)) && file.is_none();
            let librarys = name.is_some_and(begins_as_librarys) || file.is_some_and(is_in_library);
            match starts || librarys {
                true => innermost = innermost.or_else(|| Some(said())),
                false => return said(),
            }
        }
    }
    innermost.unwrap_or_default()
}

fn is_librarys(name: &str, file: Option<&str>) -> bool {
    begins_as_librarys(name) || STARTS.contains(&name) || file.is_some_and(is_in_library)
}

pub(super) fn begins_as_librarys(name: &str) -> bool {
    let plain = plain(name);
    LIBRARY.iter().any(|library| plain.starts_with(library))
}

/// A name as lists of prefixes have it. `<core[939e6ee5b07a9689]::fmt::Error as ...` begins with
/// `core::fmt::`: rustc's names of today have a hash after the crate.
pub(super) fn plain(name: &str) -> Cow<'_, str> {
    let name = name.trim_start_matches('<');
    let with_hash = name.split_once('[').and_then(|(root, rest)| {
        let (hash, rest) = rest.split_once(']')?;
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let is_crate = !root.is_empty() && root.chars().all(is_name) && rest.starts_with("::");
        let is_hash = !hash.is_empty() && hash.chars().all(|c| c.is_ascii_hexdigit());
        (is_crate && is_hash).then(|| format!("{root}{rest}"))
    });
    with_hash.map_or(Cow::Borrowed(name), Cow::Owned)
}

pub(super) fn is_in_library(file: &str) -> bool {
    (file.contains("/rustc/") && file.contains("/library/"))
        || file.contains("wasi-libc")
        || file.starts_with("wasisdk://")
}

#[cfg(test)]
mod tests {
    use super::{note, place, plain};
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
        // The same, mangled as rustc does today.
        let panics = [
            "abort",
            "_RNvCscSpY9Juk0HT_7___rustc18___rust_start_panic",
            "_RNvNtCsj4CZ6flxxfE_3std9panicking11begin_panic",
            "_RNvC6_123foo3bar",
        ];
        let own = "note: the first frame of the program's own is 3: 123foo::bar";
        assert_eq!(said(&panics).as_deref(), Some(own));
        // An abort, few frames, and only frames of the library.
        assert_eq!(said(&["abort", "abort", "abort", "work"]), None);
        assert_eq!(said(&["std::panicking", "work"]), None);
        assert_eq!(said(&["std::panicking"; 5]), None);
    }

    #[test]
    fn names_of_crates_may_have_a_hash() {
        for (name, without) in [
            ("core[939e6ee5b07a9689]::fmt::write", "core::fmt::write"),
            (
                "<std[d]::Once as core[9]::Drop>::drop",
                "std::Once as core[9]::Drop>::drop",
            ),
            ("std::thread::spawn", "std::thread::spawn"),
            ("<[u8]>::len", "[u8]>::len"),
            ("f[0]", "f[0]"),
            ("f[x]::g", "f[x]::g"),
            ("", ""),
        ] {
            assert_eq!(plain(name), without);
        }
    }

    /// The thread's closure was inlined into the library's frame, and the C library's start was
    /// taken for the program's.
    #[test]
    fn a_program_without_frames_of_its_own_is_not_looked_for_in_the_c_library() {
        let start = Some("wasisdk://v30.0/build/src/musl/src/thread/pthread_create.c");
        let frames = |calls_own: &str| {
            let panics = ["abort", "__rust_start_panic", "core::panicking::panic_fmt"];
            let rest = [calls_own, "std::thread::lifecycle::spawn_unchecked"];
            let mut places: Vec<_> = (0..)
                .zip(panics.into_iter().chain(rest))
                .map(|(n, name)| Place::new(n).function_name(name))
                .collect();
            let c = "__wasi_thread_start_C";
            places.push(Place::new(9).source(Some(c), start, Some(323), Some(5)));
            places.push(Place::new(10).function_name("wasi_thread_start"));
            places.push(Place::new(11).function_name("_start"));
            note(Printer::new(Limits::default()).look_up(places).frames())
        };
        let calls_own = "std::sys::backtrace::__rust_begin_short_backtrace";
        let own = format!("note: the program's own frames were inlined into 3: {calls_own}");
        assert_eq!(frames(calls_own), Some(own));
        assert_eq!(frames("std::thread::other"), None);
    }

    #[test]
    fn a_place_is_the_programs_own_if_there_is_one() {
        let of = |places| place(Printer::new(Limits::default()).look_up(places).frames());
        let library = "/rustc/59807616/library/core/src/sync/atomic.rs";
        let load = || Place::new(4).source(Some("atomic_load"), Some(library), Some(7), Some(1));
        let own = Some("src/main.rs");
        let main = Place::new(5).source(Some("main"), own, Some(9), Some(5));
        assert_eq!(of(vec![load(), main]), "main at src/main.rs:9");
        assert_eq!(
            of(vec![load().source(Some("add"), own, Some(3), None)]),
            "add at src/main.rs:3"
        );
        let alone = format!("atomic_load at {library}:7");
        assert_eq!(
            of(vec![load(), Place::new(6).function_name("_start")]),
            alone
        );
        assert_eq!(of(vec![Place::new(7)]), "function 7");
        assert_eq!(of(vec![]), "");
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
