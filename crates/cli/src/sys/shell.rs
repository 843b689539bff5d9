//! Words of a command line, as the system's shell reads them back.

/// A word for the shell that people type into here.
pub(crate) fn quoted(word: &str) -> String {
    match cfg!(windows) {
        true => quoted_for_windows(word),
        false => quoted_for_posix(word),
    }
}

/// POSIX, "Shell Command Language", 2.2.
fn quoted_for_posix(word: &str) -> String {
    match is_plain(word, '%') {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Windows' shells know no single quotes, and programs split their arguments themselves: a
/// backslash stands for itself, unless a quotation mark comes behind it (Microsoft, "Parsing C
/// command-line arguments"). No quotation keeps `cmd` from putting a variable in the place of
/// `%NAME%`, nor PowerShell in that of `$NAME`.
fn quoted_for_windows(word: &str) -> String {
    if is_plain(word, '\\') {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    let mut backslashes = 0;
    for c in word.chars() {
        if c == '"' {
            quoted.push_str(&"\\".repeat(backslashes + 1));
        }
        backslashes = if c == '\\' { backslashes + 1 } else { 0 };
        quoted.push(c);
    }
    quoted.push_str(&"\\".repeat(backslashes));
    quoted.push('"');
    quoted
}

/// Whether no shell reads anything else into it; `other` is plain here, too.
fn is_plain(word: &str, other: char) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c) || c == other;
    !word.is_empty() && word.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_back() {
        for (word, posix, windows) in [
            ("a/b=c", "a/b=c", "a/b=c"),
            ("", "''", "\"\""),
            ("two words", "'two words'", "\"two words\""),
            ("it's", r"'it'\''s'", "\"it's\""),
            (r"C:\a\b.wasm", r"'C:\a\b.wasm'", r"C:\a\b.wasm"),
            (r"C:\a b\", r"'C:\a b\'", "\"C:\\a b\\\\\""),
            (r#"a\"b"#, r#"'a\"b'"#, r#""a\\\"b""#),
            ("100%", "100%", "\"100%\""),
        ] {
            assert_eq!(quoted_for_posix(word), posix);
            assert_eq!(quoted_for_windows(word), windows);
        }
    }
}
