//! The length of files.

use std::path::{Path, PathBuf};

/// Most lines of a source file.
pub const SOURCE: usize = 400;

/// Most lines of a file of tests.
pub const TESTS: usize = 600;

/// Files below `root` that are longer than [`SOURCE`] or, for tests, [`TESTS`] lines.
///
/// # Panics
///
/// Panics on a file that cannot be read.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    for top in ["crates", "tests", "benches", "examples"] {
        rust_files(&root.join(top), &mut files);
    }
    files.sort();
    files
        .iter()
        .filter_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let (lines, most) = (
                text.lines().count(),
                limit(file.strip_prefix(root).unwrap()),
            );
            let file = file.strip_prefix(root).unwrap().display();
            (lines > most).then(|| format!("{file}: {lines} lines, of {most} at most"))
        })
        .collect()
}

/// Most lines of the file at `path`.
fn limit(path: &Path) -> usize {
    let is_test = path.components().any(|part| part.as_os_str() == "tests")
        || path.file_stem().is_some_and(|stem| stem == "tests");
    if is_test { TESTS } else { SOURCE }
}

/// Every `.rs` file below `folder`, but for what is built.
pub(crate) fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                rust_files(&path, files);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_more_is_too_many() {
        let root = tempfile::tempdir().unwrap();
        let src = root.path().join("crates/one/src");
        std::fs::create_dir_all(&src).unwrap();
        std::fs::create_dir_all(root.path().join("crates/one/tests")).unwrap();
        std::fs::write(src.join("fits.rs"), "\n".repeat(SOURCE)).unwrap();
        std::fs::write(src.join("long.rs"), "\n".repeat(SOURCE + 1)).unwrap();
        std::fs::write(
            root.path().join("crates/one/tests/a.rs"),
            "\n".repeat(TESTS),
        )
        .unwrap();
        std::fs::write(
            root.path().join("crates/one/tests/b.rs"),
            "\n".repeat(TESTS + 1),
        )
        .unwrap();
        assert_eq!(
            findings(root.path()),
            [
                "crates/one/src/long.rs: 401 lines, of 400 at most",
                "crates/one/tests/b.rs: 601 lines, of 600 at most",
            ]
        );
    }
}
