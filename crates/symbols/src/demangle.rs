//! Names of Rust and C++ functions as people write them.

use std::fmt;

use cpp_demangle::{DemangleOptions, ParseOptions, Symbol};

use crate::escape::NAME_CHARS;

/// What mangled C++ names begin with. The demangler takes anything else for a type: `f` would be
/// `float`.
const CPP: [&str; 5] = ["_Z", "__Z", "___Z", "____Z", "_GLOBAL_"];

/// How deep a C++ name may be nested, in calls of the demangler. Each level doubles the time to
/// read some names. With the demangler's own limit of 96, 200 bytes take a minute; with this one
/// they take some milliseconds. Of 57,000 names in libraries of LLVM, clang and C++ three need
/// more.
const DEEPEST: u32 = 56;

/// A writer that takes the beginning, and then fails, which ends the demangling.
struct Beginning {
    text: String,
    most: usize,
    full: bool,
}

impl fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = self.most.saturating_sub(self.text.len());
        if text.len() <= left {
            self.text.push_str(text);
            return Ok(());
        }
        self.full = true;
        self.text.push_str(&text[..text.floor_char_boundary(left)]);
        Err(fmt::Error)
    }
}

/// The name as Wasmtime writes it, except for [`CPP`] and [`DEEPEST`]. A name longer than is shown
/// is cut to its beginning. A name that is not mangled stays as it is.
///
/// Both demanglers bound how deep they recurse, to some hundred levels. What they write is bounded
/// here. The time in which they write nothing has no bound, so they have a thread of their own.
pub(crate) fn demangle(name: &str, shown_chars: usize) -> String {
    let mut beginning = Beginning {
        text: String::new(),
        // So many bytes have more characters than are shown.
        most: 4 * shown_chars.clamp(NAME_CHARS, 1 << 20) + 4,
        full: false,
    };
    let read = ParseOptions::default().recursion_limit(DEEPEST);
    let written = if let Ok(name) = rustc_demangle::try_demangle(name) {
        fmt::write(&mut beginning, format_args!("{name}"))
    } else if CPP.iter().any(|prefix| name.starts_with(prefix))
        && let Ok(symbol) = Symbol::new_with_options(name, &read)
    {
        symbol.structured_demangle(&mut beginning, &DemangleOptions::default())
    } else {
        Err(fmt::Error)
    };
    match written.is_ok() || beginning.full {
        true => beginning.text,
        false => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn rust_and_cpp() {
        for (name, expected) in [
            ("main", "main"),
            ("f", "f"),
            ("_ZN3foo17h05af221e174051e9E", "foo::h05af221e174051e9"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_ZN5space3fooEibc", "space::foo(int, bool, char)"),
            ("_Z", "_Z"),
            ("", ""),
        ] {
            assert_eq!(demangle(name, NAME_CHARS), expected);
        }
    }

    /// `f<a<int, int>, a<A, A>, ...>`: each argument has the one before twice.
    fn bomb(doublings: u32) -> String {
        let mut name = "_Z1fI1aIiiE".to_owned();
        for last in 1..=doublings {
            let last = char::from_digit(last, 36).unwrap().to_ascii_uppercase();
            name.push_str(&format!("S0_IS{last}_S{last}_E"));
        }
        name + "Evv"
    }

    #[test]
    fn a_bomb_is_cut() {
        let small = demangle(&bomb(2), NAME_CHARS);
        assert!(small.starts_with("void f<a<int, int>, a<a<int, int>, a<int, int> >, "));
        let name = bomb(26);
        assert!(name.len() < 320);
        let began = Instant::now();
        let demangled = demangle(&name, NAME_CHARS);
        assert!(demangled.starts_with(&small[..small.len() - 10]));
        assert!(demangled.len() <= 4 * NAME_CHARS + 4);
        assert!(began.elapsed() < Duration::from_secs(1));
    }

    /// Conversions to types that may have arguments, which are read again and again.
    #[test]
    fn a_name_that_takes_for_ever_stays() {
        let name = format!("_Z1aNcv1xcl{}v", "cvT_Iinl".repeat(24));
        let began = Instant::now();
        assert_eq!(demangle(&name, NAME_CHARS), name);
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}
