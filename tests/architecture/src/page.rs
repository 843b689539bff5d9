//! `docs/architecture.md` names the folders of each crate, in their order.
//!
//! In the table of its part *Folders*, a crate's folder uses only folders in later rows. A folder
//! without a row is a finding, and so is a row without a folder. A tree without the page has no
//! findings.

use std::collections::BTreeMap;
use std::path::Path;

use crate::folders;
use crate::source::Crate;

/// Each wrong statement of the page of the tree at `root` about its crates, a line each.
#[must_use]
pub fn findings(root: &Path, crates: &[Crate]) -> Vec<String> {
    let Ok(page) = std::fs::read_to_string(root.join("docs/architecture.md")) else {
        return Vec::new();
    };
    let rows = rows(&page);
    let mut found = Vec::new();
    for krate in crates {
        let name = krate.name.rsplit('/').next().unwrap_or_default();
        let listed = rows.get(name).map_or(&[][..], Vec::as_slice);
        found.extend(check(krate, listed));
    }
    found
}

/// The folders of each crate, as the page lists them.
fn rows(page: &str) -> BTreeMap<String, Vec<String>> {
    let part = page
        .split("\n## ")
        .find(|part| part.starts_with("Folders\n"));
    let mut rows: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut krate = String::new();
    for line in part.unwrap_or_default().lines() {
        let mut cells = line.strip_prefix('|').unwrap_or_default().split('|');
        let (Some(first), Some(second)) = (cells.next(), cells.next()) else {
            continue;
        };
        if let Some(name) = quoted(first).next() {
            name.clone_into(&mut krate);
        }
        let folders = quoted(second).filter_map(|name| name.strip_suffix('/'));
        let listed = rows.entry(krate.clone()).or_default();
        listed.extend(folders.map(str::to_owned));
    }
    rows
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// What is wrong with the `listed` folders of a crate.
fn check(krate: &Crate, listed: &[String]) -> Vec<String> {
    let (folders, ties) = folders::top(krate);
    let place = |folder: &String| listed.iter().position(|other| other == folder);
    let mut found = Vec::new();
    for folder in folders.iter().filter(|folder| place(folder).is_none()) {
        found.push(format!(
            "{}: docs/architecture.md has no row for `{folder}/`",
            krate.name
        ));
    }
    for folder in listed.iter().filter(|folder| !folders.contains(*folder)) {
        found.push(format!(
            "{}: docs/architecture.md has a row for `{folder}/`, which is not there",
            krate.name
        ));
    }
    for ((user, used), why) in &ties {
        if let (Some(user_at), Some(used_at)) = (place(user), place(used))
            && user_at > used_at
        {
            let why = why.first().map_or("", String::as_str);
            found.push(format!(
                "{}: `{user}/` stands below `{used}/` in docs/architecture.md and uses it: {why}",
                krate.name
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings on a crate `it` with three folders, of which `one` uses `two`, where the page
    /// has these rows.
    fn of(rows: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("crates/it/Cargo.toml", ""),
            (
                "crates/it/src/lib.rs",
                "mod one; mod two; mod three; mod file;",
            ),
            ("crates/it/src/one/mod.rs", "use crate::two::B;"),
            (
                "crates/it/src/two.rs",
                "mod deep; pub struct B; use crate::file::C;",
            ),
            ("crates/it/src/two/deep.rs", ""),
            ("crates/it/src/three/mod.rs", ""),
            ("crates/it/src/file.rs", "pub struct C;"),
            (
                "docs/architecture.md",
                &format!(
                    "# A\n\n## Folders\n\n| crate | folder | has |\n|---|---|---|\n{rows}\n## B\n"
                ),
            ),
        ] {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        findings(root.path(), &crate::crates(root.path()))
    }

    #[test]
    fn the_order_of_the_page_is_checked() {
        let fine =
            "| `it` | `one/`, `three/` | a |\n| | `two/` | `b/` |\n| `other` | (files) | |\n";
        assert_eq!(of(fine), [""; 0]);
        let found = of("| `it` | `two/` | a |\n| | `three/` | |\n| | `one/` | |\n");
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/it: `one/` stands below `two/` in docs/architecture.md"),
            "{found:?}"
        );
    }

    #[test]
    fn every_folder_has_a_row_and_every_row_a_folder() {
        let found = of("| `it` | `one/`, `two/`, `four/` | a |\n");
        assert_eq!(
            found,
            [
                "crates/it: docs/architecture.md has no row for `three/`",
                "crates/it: docs/architecture.md has a row for `four/`, which is not there",
            ]
        );
    }
}
