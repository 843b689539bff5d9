//! The folders of a crate use one another in one direction.
//!
//! In every folder of a crate, its folders and files are nodes. A folder includes all that is below
//! it, and the file of its name beside it. An arrow runs from a node that names something to the
//! node that defines it, through any re-export. A circle with a folder in it is a finding.
//! `lib.rs`, `main.rs` and `mod.rs` are the face of their folder, and not nodes in it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::paths;
use crate::source::Crate;

/// What ties two nodes: files and the path that is named.
pub(crate) type Ties = BTreeMap<(String, String), BTreeSet<String>>;

/// The circles of a crate's folders, a line each.
#[must_use]
pub fn findings(krate: &Crate) -> Vec<String> {
    let uses = uses(krate);
    let inner = all(krate);
    let mut found = Vec::new();
    for folder in &inner {
        let ties = ties(folder, &uses, &inner);
        for circle in circles(&ties) {
            let is_folder = |node: &String| inner.contains(&folder.join(node));
            if circle.iter().any(is_folder) {
                found.push(line(krate, folder, &circle, &ties));
            }
        }
    }
    found
}

/// Every folder of the crate that has sources, itself included.
fn all(krate: &Crate) -> BTreeSet<PathBuf> {
    let files = krate.modules.values().map(|module| &module.file);
    files
        .flat_map(|file| file.ancestors().skip(1).map(Path::to_owned))
        .collect()
}

/// The folders at the top of the crate, and the arrows among all that is there.
pub(crate) fn top(krate: &Crate) -> (BTreeSet<String>, Ties) {
    let inner = all(krate);
    let ties = ties(Path::new(""), &uses(krate), &inner);
    let at_top = |folder: &&PathBuf| folder.components().count() == 1;
    let names = inner.iter().filter(at_top);
    (names.map(|name| name.display().to_string()).collect(), ties)
}

/// Which file names something that another defines, and how it is named.
fn uses(krate: &Crate) -> BTreeSet<(PathBuf, PathBuf, String)> {
    let mut uses = BTreeSet::new();
    for (at, module) in &krate.modules {
        for path in paths::written(module) {
            let Some(target) = paths::target(krate, at, &path) else {
                continue;
            };
            let Some(other) = krate.modules.get(&target) else {
                continue;
            };
            if other.file != module.file {
                uses.insert((module.file.clone(), other.file.clone(), path.join("::")));
            }
        }
    }
    uses
}

/// The arrows among the nodes of one folder.
fn ties(
    folder: &Path,
    uses: &BTreeSet<(PathBuf, PathBuf, String)>,
    folders: &BTreeSet<PathBuf>,
) -> Ties {
    let mut ties = Ties::new();
    for (from, to, path) in uses {
        let (Some(a), Some(b)) = (node(folder, from, folders), node(folder, to, folders)) else {
            continue;
        };
        if a != b {
            let tie = format!("{} uses {path} of {}", from.display(), to.display());
            ties.entry((a, b)).or_default().insert(tie);
        }
    }
    ties
}

/// The node of `folder` that `file` belongs to.
fn node(folder: &Path, file: &Path, folders: &BTreeSet<PathBuf>) -> Option<String> {
    let below = file.strip_prefix(folder).ok()?;
    let first = Path::new(below.components().next()?.as_os_str());
    let name = first.with_extension("").display().to_string();
    let is_file = below.components().count() == 1;
    if is_file && !folders.contains(&folder.join(&name)) {
        let is_face = ["lib", "main", "mod"].contains(&name.as_str());
        return (!is_face).then_some(name);
    }
    Some(name)
}

/// Sets of nodes that reach one another.
fn circles(ties: &Ties) -> Vec<BTreeSet<String>> {
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut left = vec![from.clone()];
        while let Some(node) = left.pop() {
            for (a, b) in ties.keys() {
                if *a == node && seen.insert(b.clone()) {
                    left.push(b.clone());
                }
            }
        }
        seen
    };
    let nodes: BTreeSet<&String> = ties.keys().flat_map(|(a, b)| [a, b]).collect();
    let reached: BTreeMap<_, _> = nodes.iter().map(|node| (*node, reach(node))).collect();
    let mut circles = BTreeSet::new();
    for (node, others) in &reached {
        if others.contains(*node) {
            let circle = others
                .iter()
                .filter(|other| reached[*other].contains(*node));
            circles.insert(circle.cloned().collect::<BTreeSet<_>>());
        }
    }
    circles.into_iter().collect()
}

/// A circle, with up to three of the names behind each of its arrows.
fn line(krate: &Crate, folder: &Path, circle: &BTreeSet<String>, ties: &Ties) -> String {
    let place = Path::new(&krate.name).join("src").join(folder);
    let mut text = format!("{}: a circle of {circle:?}", place.display());
    for ((a, b), why) in ties {
        if circle.contains(a) && circle.contains(b) {
            text += &format!("\n    {a} -> {b}:");
            for tie in why.iter().take(3) {
                text += &format!("\n        {tie}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings on a crate of these files.
    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let src = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = src.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        findings(&Crate::read("it".to_owned(), src.path()))
    }

    /// `one/a` uses `two/b`, which is `back`.
    fn two(back: &str) -> Vec<String> {
        of(&[
            ("lib.rs", "mod one; mod two; pub use one::{A, help};"),
            ("one/mod.rs", "pub mod a; pub use a::{A, help};"),
            (
                "one/a.rs",
                "use crate::two::b::B; pub struct A(B); pub fn help() {}",
            ),
            ("two/mod.rs", "pub mod b;"),
            ("two/b.rs", back),
        ])
    }

    #[test]
    fn one_direction_is_fine() {
        assert_eq!(two("pub struct B;"), [""; 0]);
        assert_eq!(
            two("use std::fmt; pub struct B; fn f() -> fmt::Error { todo() }"),
            [""; 0]
        );
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        for back in [
            "pub struct B; use crate::one::a::A;",
            "pub struct B; use super::super::one::A;",
            "pub struct B; use crate::{one as other}; fn f() { other::help() }",
            "pub struct B; fn f() { crate::help() }",
            "pub struct B; fn f() { println!(\"{:?}\", crate::one::help()) }",
            "pub struct B; use crate::*; fn f(_: A) {}",
            "pub struct B(crate::A);",
            "pub struct B; fn f() { use crate::one::A; let _: A; }",
            "pub struct B; fn f() { if true { use crate::{one::a::{help as other}}; other() } }",
            "pub struct B; fn f() { use crate::one::*; }",
            "pub struct B; m!(crate::{std, one::{a::A, other}});",
            "pub struct B; m!(crate::{std, one::a::A});",
            "pub struct B; m!(x + { y }, $crate::one::a::A);",
        ] {
            let found = two(back);
            assert_eq!(found.len(), 1, "{back}: {found:?}");
            assert!(
                found[0].contains(r#"a circle of {"one", "two"}"#),
                "{found:?}"
            );
        }
    }

    #[test]
    fn a_file_beside_folders_is_a_node() {
        let found = of(&[
            ("lib.rs", "mod one; mod two;"),
            ("one/mod.rs", "use crate::two::B; pub struct A;"),
            ("two.rs", "use crate::one::A; pub struct B;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_circle_in_a_folder_within_is_found() {
        let found = of(&[
            ("lib.rs", "mod one;"),
            ("one/mod.rs", "mod a; mod b;"),
            ("one/a/mod.rs", "use super::b::B; pub struct A;"),
            ("one/b.rs", "use super::a::A; pub struct B;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn files_of_one_folder_and_tests_may_know_each_other() {
        let found = of(&[
            ("lib.rs", "mod one; mod two;"),
            ("one/mod.rs", "mod a; mod b;"),
            ("one/a.rs", "use super::b::B; pub struct A;"),
            (
                "one/b.rs",
                "use super::a::A; pub struct B; use crate::two::C;",
            ),
            (
                "two/mod.rs",
                "pub struct C; #[cfg(test)] mod tests { use crate::one; }",
            ),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
