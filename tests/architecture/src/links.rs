//! Everything that a text of the tree leads to exists: targets of links in pages, with the headings
//! that they name, tests that pages name, and `#[path]`s of files. Files that the workspace does
//! not build are included.

use std::path::{Path, PathBuf};

/// Links and paths below `root` that lead nowhere.
///
/// # Panics
///
/// Panics on a file that cannot be read.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    collect(root, &mut files);
    files.sort();
    let mut found = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).unwrap();
        let targets = match file.extension().is_some_and(|extension| extension == "md") {
            true => between(&text, "](", ")"),
            false => between(&text, "\n#[path = \"", "\"]"),
        };
        let folder = file.parent().unwrap();
        for target in targets {
            let (path, heading) = target.split_once('#').unwrap_or((target, ""));
            let page = match path {
                "" => file.clone(),
                path => folder.join(path),
            };
            let below = file.strip_prefix(root).unwrap().display();
            if path.contains(':') {
                continue;
            } else if !page.exists() {
                found.push(format!("{below}: `{path}` is not there"));
            } else if !heading.is_empty() && (path.is_empty() || path.ends_with(".md")) {
                let text = std::fs::read_to_string(&page).unwrap();
                if !anchors(&text).any(|anchor| anchor == heading) {
                    found.push(format!("{below}: `{target}`: no such heading"));
                }
            }
        }
        if file.extension().is_some_and(|extension| extension == "md") {
            let missing = tests_in(&text).filter(|(path, test)| !has_test(root, path, test));
            let file = file.strip_prefix(root).unwrap().display();
            found.extend(missing.map(|(path, test)| format!("{file}: `{path}` has no `{test}`")));
        }
    }
    found
}

/// How links name the headings of a page: in lower case, without punctuation, with hyphens for
/// spaces. (Of several equal headings only the first is known.)
fn anchors(page: &str) -> impl Iterator<Item = String> {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let text = line.trim_start_matches('#').trim().to_lowercase();
        let kept = |char: &char| char.is_alphanumeric() || " -_".contains(*char);
        text.chars()
            .filter(kept)
            .collect::<String>()
            .replace(' ', "-")
    })
}

/// Tests that a page names: `path/from/the/root.rs::test`, in back-quotes.
fn tests_in(text: &str) -> impl Iterator<Item = (String, &str)> {
    text.split('`').filter_map(|piece| {
        let (path, test) = piece.split_once(".rs::")?;
        let is_name = |part: &str| {
            let known = |char: char| char.is_alphanumeric() || "_/-".contains(char);
            !part.is_empty() && part.chars().all(known)
        };
        (is_name(path) && path.contains('/') && is_name(test)).then(|| (format!("{path}.rs"), test))
    })
}

/// A function that is no test shows nothing.
fn has_test(root: &Path, path: &str, test: &str) -> bool {
    let text = std::fs::read_to_string(root.join(path)).unwrap_or_default();
    let before = text
        .split_once(&format!("fn {test}("))
        .map(|(before, _)| before);
    let item = before.and_then(|before| before.rsplit("\n\n").next());
    item.is_some_and(|attributes| attributes.contains("#[test]"))
}

/// Each text between `begin` and the next `end`, if it has no space, since links have none.
fn between<'t>(text: &'t str, begin: &str, end: &str) -> Vec<&'t str> {
    text.split(begin)
        .skip(1)
        .filter_map(|rest| rest.split_once(end))
        .map(|(target, _)| target)
        .filter(|target| !target.contains(char::is_whitespace))
        .collect()
}

/// Pages and sources below `folder`, but for what is built or hidden.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, files);
            }
        } else if name.ends_with(".md") || name.ends_with(".rs") {
            files.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_nowhere_is_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        write(
            "a.md",
            "# The `top`, of it\n[here](a.md#the-top-of-it), [there](https://a.b/c#d), [gone](b/c.md), \
             f[0](x y), [top](#top), `t/a.rs::there`, `t/a.rs::gone`, \
             `t/a.rs::helper`, `t/b.rs::gone`, `a::b.rs::c`",
        );
        std::fs::create_dir(root.path().join("t")).unwrap();
        write("t/a.rs", "#[test]\nfn there() {}\n\nfn helper() {}\n");
        write(
            "a.rs",
            "\n#[path = \"gone.rs\"]\nmod gone;\n#[path = \"a.md\"]\nmod there;\n",
        );
        assert_eq!(
            findings(root.path()),
            [
                "a.md: `b/c.md` is not there",
                "a.md: `#top`: no such heading",
                "a.md: `t/a.rs` has no `gone`",
                "a.md: `t/a.rs` has no `helper`",
                "a.md: `t/b.rs` has no `gone`",
                "a.rs: `gone.rs` is not there"
            ]
        );
    }
}
