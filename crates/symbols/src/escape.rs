//! Text that a module brought, as it may be shown.

use std::fmt::{self, Write as _};

/// Characters of a name that are shown by default: longer ones are cut. Templates and generics have
/// names of hundreds.
pub const NAME_CHARS: usize = 1000;

/// What is behind the last character of a text that was cut.
pub const CUT: &str = "...";

/// Text with every character visible: see [`escape`].
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a> {
    text: &'a str,
    most: usize,
}

/// Shows an untrusted text, such as a name in a module, on a terminal or in a file. Only what would
/// not be seen as text is changed.
///
/// These come out as Rust writes them in a string (`\n`, `\u{1b}`): control characters and line
/// ends, format characters (bidirectional marks, joiners, zero-width spaces), spaces other than
/// U+0020, combining characters, private and unassigned characters, and letters that are blank.
/// Quotation marks and backslashes stay, as they are part of names and paths. The result has at
/// most `most` characters, and `...` behind them if that was not all. Allocates nothing, and reads
/// no further than it writes.
///
/// ```
/// assert_eq!(wasm_symbols::escape("main", 100).to_string(), "main");
/// let name = "a\u{1b}[31m\n\u{202e}";
/// assert_eq!(wasm_symbols::escape(name, 100).to_string(), r"a\u{1b}[31m\n\u{202e}");
/// assert_eq!(wasm_symbols::escape("alphabet", 5).to_string(), "alpha...");
/// ```
pub fn escape(text: &str, most: usize) -> Escaped<'_> {
    Escaped { text, most }
}

/// Letters and symbols that look like nothing at all.
fn is_blank(char: char) -> bool {
    matches!(
        char,
        '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
    )
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.most;
        for char in self.text.chars() {
            let plain = match char {
                '"' | '\'' | '\\' => true,
                _ => char.escape_debug().len() == 1 && !is_blank(char),
            };
            let length = match plain {
                true => 1,
                false if is_blank(char) => char.escape_unicode().len(),
                false => char.escape_debug().len(),
            };
            match left.checked_sub(length) {
                Some(rest) => left = rest,
                None => return f.write_str(CUT),
            }
            match plain {
                true => f.write_char(char)?,
                false if is_blank(char) => write!(f, "{}", char.escape_unicode())?,
                false => write!(f, "{}", char.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        escape(text, NAME_CHARS).to_string()
    }

    #[test]
    fn names_stay_as_they_are() {
        for name in [
            "<alloc::vec::Vec<T> as core::ops::Drop>::drop::h0123456789abcdef",
            "operator\"\" _s(char const*)",
            r"C:\src\a.c",
            "größe, 面積, площадь, שלום, →",
            "{closure#0}",
        ] {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn all_else_is_seen() {
        for (text, expected) in [
            ("a\r\nb\tc\0", r"a\r\nb\tc\0"),
            ("\u{7f}\u{85}\u{9b}31m", r"\u{7f}\u{85}\u{9b}31m"),
            (
                "\u{200b}\u{200d}\u{2066}\u{feff}",
                r"\u{200b}\u{200d}\u{2066}\u{feff}",
            ),
            ("\u{2028}\u{a0}\u{3000}", r"\u{2028}\u{a0}\u{3000}"),
            ("e\u{301}\u{fe0f}\u{3164}", r"e\u{301}\u{fe0f}\u{3164}"),
            ("\u{e0041}\u{e000}", r"\u{e0041}\u{e000}"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn what_is_cut_counts_what_comes_out() {
        assert_eq!(escape("\n\n\n", 4).to_string(), r"\n\n...");
        assert_eq!(escape("\u{202e}", 7).to_string(), "...");
        assert_eq!(escape("abc", 3).to_string(), "abc");
        let long = "\u{202e}".repeat(1 << 20);
        assert!(shown(&long).len() <= NAME_CHARS + CUT.len());
    }
}
