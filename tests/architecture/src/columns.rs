//! No line of a comment or of a page is wider than 100 columns.
//!
//! Some lines may be longer. Rows of tables, lines with an address and lines of a single word have
//! no place to break. Fenced text on a page is what a program reads or prints. Code is not checked:
//! `cargo fmt` breaks it, and a long line that it leaves is a literal.

use std::path::Path;

use crate::prose::{self, Line};

/// Most columns of a line, counted in characters.
pub const COLUMNS: usize = 100;

/// Lines below `root` that are wider than [`COLUMNS`].
///
/// # Panics
///
/// Panics on a file that cannot be read.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for file in prose::files(root) {
        let text = std::fs::read_to_string(&file).unwrap();
        let is_page = file.extension().is_some_and(|ending| ending == "md");
        for line in prose::lines(&file, &text) {
            let columns = line.whole.chars().count();
            if columns > COLUMNS && !may_be_wide(&line, is_page) {
                let file = file.strip_prefix(root).unwrap().display();
                let number = line.number;
                found.push(format!(
                    "{file}:{number}: {columns} columns, of {COLUMNS} at most"
                ));
            }
        }
    }
    found
}

fn may_be_wide(line: &Line<'_>, is_page: bool) -> bool {
    line.text.starts_with('|')
        || line.text.contains("://")
        || !line.text.contains(char::is_whitespace)
        || is_page && line.is_fenced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_more_is_too_many() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        let fits = format!("a {}", "ä".repeat(COLUMNS - 5));
        let wide = format!("{fits}b");
        write(
            "a.rs",
            &format!("// {fits}\n    //! {wide}\nlet a = \"{wide}\";\n"),
        );
        write("b.sh", &format!("#  {fits}\n# {wide}c\n{wide}{wide}\n"));
        write(
            "c.md",
            &format!(
                "{fits}aaa\n{wide}aaa\n| {wide} |\n```\n{wide}aaa\n```\nx https://{wide}aaa\n"
            ),
        );
        assert_eq!(
            findings(root.path()),
            [
                "a.rs:2: 106 columns, of 100 at most",
                "b.sh:2: 101 columns, of 100 at most",
                "c.md:2: 101 columns, of 100 at most",
            ]
        );
    }
}
