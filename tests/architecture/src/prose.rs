//! The prose of a tree: lines of comments in sources, and lines of pages.

use std::path::{Path, PathBuf};

/// A line of a comment or of a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Line<'t> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// The whole line, with its indentation and its mark.
    pub(crate) whole: &'t str,
    /// What stands behind the mark: empty between two paragraphs.
    pub(crate) text: &'t str,
    /// It is between fences: a program, or what one prints.
    pub(crate) is_fenced: bool,
}

/// Endings of sources, and what begins a comment in them. Pages have no mark.
const KINDS: [(&str, &[&str]); 12] = [
    ("rs", &["///", "//!", "//"]),
    ("c", &["///", "//", "/*", "*"]),
    ("h", &["//", "/*", "*"]),
    ("cpp", &["//", "/*"]),
    ("js", &["//"]),
    ("wat", &[";;"]),
    ("sh", &["#"]),
    ("py", &["#"]),
    ("toml", &["#"]),
    ("yml", &["#"]),
    ("supp", &["#"]),
    ("md", &[""]),
];

/// The files below `root` that have prose, except built and hidden ones, and inputs of fuzzers.
pub(crate) fn files(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            if !["target", "seeds", "corpus", "artifacts"].contains(&name.as_str()) {
                collect(&path, files);
            }
        } else if marks(&path).is_some() {
            files.push(path);
        }
    }
}

fn marks(path: &Path) -> Option<&'static [&'static str]> {
    let ending = path.extension()?;
    let kind = KINDS.iter().find(|(kind, _)| ending == *kind)?;
    Some(kind.1)
}

/// The prose in the `text` of the file at `path`.
pub(crate) fn lines<'t>(path: &Path, text: &'t str) -> Vec<Line<'t>> {
    let marks = marks(path).unwrap_or_default();
    let inside = match marks.first() {
        Some(mark) if mark.starts_with('/') => in_literals(text),
        Some(&"#") => in_documents(text),
        _ => Vec::new(),
    };
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for (n, whole) in text.lines().enumerate() {
        let line = whole.trim_start();
        let mark = marks.iter().find(|mark| line.starts_with(**mark));
        let Some(mark) = mark.filter(|_| inside.binary_search(&n).is_err() && !is_code(line))
        else {
            is_fenced = false;
            continue;
        };
        let text = line[mark.len()..].trim();
        let is_fence = text.starts_with("```") || text.starts_with("~~~");
        lines.push(Line {
            number: n + 1,
            whole,
            text,
            is_fenced: is_fenced || is_fence,
        });
        is_fenced ^= is_fence;
    }
    lines
}

/// What looks like a comment and is none: `#!/bin/sh`, `*p = 1;`.
fn is_code(line: &str) -> bool {
    line.starts_with("#!") || (line.starts_with('*') && !line.starts_with("* ") && line != "*/")
}

/// The lines, counted from 0, that begin within a string of Rust or C.
fn in_literals(text: &str) -> Vec<usize> {
    let mut inside = Vec::new();
    let mut at = 0;
    let mut line = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with('"') {
            let length = literal(&text[..at], rest);
            let lines = rest[..length].matches('\n').count();
            inside.extend(line + 1..=line + lines);
            length
        } else if let Some(length) = character(rest) {
            length
        } else {
            // To the next that may begin something.
            let first = rest.chars().next().map_or(1, char::len_utf8);
            let next = rest[first..].find(['/', '"', '\'']);
            next.map_or(rest.len(), |next| first + next)
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    inside
}

/// The length of the string that `rest` begins with, behind `before`.
fn literal(before: &str, rest: &str) -> usize {
    let hashes = before.len() - before.trim_end_matches('#').len();
    if before[..before.len() - hashes].ends_with('r') {
        let end = format!("\"{}", "#".repeat(hashes));
        let found = rest[1..].find(&end);
        return found.map_or(rest.len(), |found| 1 + found + end.len());
    }
    let mut is_escaped = false;
    for (n, char) in rest.char_indices().skip(1) {
        match char {
            '"' if !is_escaped => return n + 1,
            _ => is_escaped = char == '\\' && !is_escaped,
        }
    }
    rest.len()
}

/// The length of the character that `rest` begins with: `'"'`, `'\''`; a lifetime is none.
fn character(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    let from = match first {
        '\\' => 2,
        '\'' => return None,
        _ => first.len_utf8(),
    };
    let end = inner.get(from..)?.find('\'')?;
    (end == 0 || first == '\\' && end < 10).then_some(1 + from + end + 1)
}

/// The lines, counted from 0, of here-documents.
fn in_documents(text: &str) -> Vec<usize> {
    let mut inside = Vec::new();
    let mut end: Option<&str> = None;
    for (n, line) in text.lines().enumerate() {
        if let Some(word) = end {
            inside.push(n);
            if line.trim() == word {
                end = None;
            }
        } else if !line.trim_start().starts_with('#') && !line.contains("<<<") {
            let word = line.split_once("<<").map(|(_, rest)| {
                let rest = rest.trim_start_matches(['-', ' ', '\'', '"', '\\']);
                let known = |char: char| char.is_ascii_alphanumeric() || char == '_';
                &rest[..rest.find(|char| !known(char)).unwrap_or(rest.len())]
            });
            let is_word = |word: &&str| word.starts_with(|char: char| char.is_ascii_uppercase());
            end = word.filter(is_word);
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<'t>(name: &str, text: &'t str) -> Vec<(usize, &'t str)> {
        let lines = lines(Path::new(name), text);
        lines.iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn strings_are_no_comments() {
        let text = "//! a\n\nlet a = \"\\\"\n// b\n\"; // c\nlet b = r#\"\n/// d\"\n// e\n\"#;\n\
                    let c = '\"';\n    // f\nlet d: &'a str = '\\'';\n/// g\n";
        assert_eq!(texts("a.rs", text), [(1, "a"), (11, "f"), (13, "g")]);
    }

    #[test]
    fn here_documents_are_no_comments() {
        let text = "#!/bin/sh\n# a\ncat <<'EOF'\n# b\nEOF\n# c\n";
        assert_eq!(texts("a.sh", text), [(2, "a"), (6, "c")]);
    }

    #[test]
    fn what_is_fenced_is_told() {
        let text = "a\n```sh\nb\n```\nc\n";
        let fenced: Vec<_> = lines(Path::new("a.md"), text)
            .iter()
            .map(|line| line.is_fenced)
            .collect();
        assert_eq!(fenced, [false, true, true, true, false]);
    }
}
