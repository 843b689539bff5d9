//! Commands in pages and comments name scripts, packages and targets that are there.
//!
//! A command is text between backticks or fences. The check looks at `scripts/...`, and with
//! `cargo` at the names behind `-p`, `--package`, `--test`, `--bench`, `--example` and `--bin`.

use std::collections::BTreeSet;
use std::path::Path;

use crate::prose;

/// Options of `cargo`, and the kind of name that stands behind each.
const OPTIONS: [(&str, &str); 6] = [
    ("-p", "package"),
    ("--package", "package"),
    ("--test", "test"),
    ("--bench", "bench"),
    ("--example", "example"),
    ("--bin", "bin"),
];

/// Names in commands below `root` that nothing has, a line each.
///
/// # Panics
///
/// Panics on a file that cannot be read.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let known = known(root);
    let mut found = Vec::new();
    for file in prose::files(root) {
        let text = std::fs::read_to_string(&file).unwrap();
        let below = file.strip_prefix(root).unwrap().display();
        for line in prose::lines(&file, &text) {
            let commands = match line.is_fenced {
                true => vec![line.text],
                false => line.text.split('`').skip(1).step_by(2).collect(),
            };
            let missing = commands
                .iter()
                .flat_map(|command| missing(command, &known, root));
            found
                .extend(missing.map(|what| format!("{below}:{}: there is no {what}", line.number)));
        }
    }
    found
}

/// What `command` names and is not there.
fn missing(command: &str, known: &BTreeSet<(String, String)>, root: &Path) -> Vec<String> {
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut missing = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let script = name(word.trim_start_matches("./"));
        if script.starts_with("scripts/") && is_whole(word) && !root.join(script).exists() {
            missing.push(format!("script `{script}`"));
        }
        let option = OPTIONS.iter().find(|(option, _)| option == word);
        let (Some((_, kind)), Some(value)) = (option, words.get(at + 1)) else {
            continue;
        };
        // Names in capitals stand for any; other tools have such options, too.
        let is_ours = words[..at].contains(&"cargo") && is_whole(value);
        let named = ((*kind).to_owned(), name(value).to_owned());
        if is_ours && name(value).contains(char::is_lowercase) && !known.contains(&named) {
            missing.push(format!("{kind} `{}`", named.1));
        }
    }
    missing
}

/// The name that `word` begins with, without what ends a sentence.
fn name(word: &str) -> &str {
    let is_part = |char: char| char.is_ascii_alphanumeric() || "_-./".contains(char);
    let end = word.find(|char| !is_part(char)).unwrap_or(word.len());
    word[..end].trim_end_matches(['.', '/'])
}

/// It stands for itself, and not for several: `table-sync-*.sh`, `$name`.
fn is_whole(word: &str) -> bool {
    !word.contains(['*', '$', '{', '<', '\u{2026}']) && !word.contains("...")
}

/// Packages of the tree, their targets, and packages they use: (kind, name).
fn known(root: &Path) -> BTreeSet<(String, String)> {
    let mut known = BTreeSet::new();
    let mut manifests = Vec::new();
    collect(root, 0, &mut manifests);
    for manifest in manifests {
        let text = std::fs::read_to_string(&manifest).unwrap();
        let mut kind = String::new();
        for line in text.lines() {
            if line.starts_with('[') {
                kind = line.trim_matches(['[', ']']).to_owned();
            } else if let Some(value) = line.strip_prefix("name = \"") {
                known.insert((kind.clone(), value.trim_end_matches('"').to_owned()));
            }
        }
        let folder = manifest.parent().unwrap();
        for (part, kind) in [
            ("tests", "test"),
            ("benches", "bench"),
            ("examples", "example"),
        ] {
            for entry in std::fs::read_dir(folder.join(part)).into_iter().flatten() {
                let path = entry.unwrap().path();
                let is_source = path.extension().is_some_and(|ending| ending == "rs");
                if is_source || path.join("main.rs").exists() {
                    let name = path.file_stem().unwrap().to_string_lossy();
                    known.insert((kind.to_owned(), name.into_owned()));
                }
            }
        }
    }
    known
}

/// Manifests below `folder`, but for those of what is built.
fn collect(folder: &Path, depth: u32, manifests: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "Cargo.toml" || name == "Cargo.lock" {
            manifests.push(path);
        } else if path.is_dir() && depth < 4 && name != "target" && !name.starts_with('.') {
            collect(&path, depth + 1, manifests);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_names_is_looked_for() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(root.path().join(name), text).unwrap();
        for folder in ["scripts", "one/tests/deep", "one/examples"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        write("scripts/there.sh", "");
        write(
            "one/Cargo.toml",
            "[package]\nname = \"one\"\n[[bench]]\nname = \"quick\"\n",
        );
        write("one/tests/a.rs", "");
        write("one/tests/deep/main.rs", "");
        write("one/examples/b.rs", "");
        write(
            "a.md",
            "`scripts/there.sh`, `scripts/gone.sh 3`, `scripts/x-*.sh`; scripts/no-command.sh\n\
             ```sh\ncargo test -p one --test a --test deep --test c\n\
             cargo bench -p two --bench quick --bench NAME\nmkdir -p three\n```\n\
             `cargo run --example b` `cargo run --example c`.\n",
        );
        assert_eq!(
            findings(root.path()),
            [
                "a.md:1: there is no script `scripts/gone.sh`",
                "a.md:3: there is no test `c`",
                "a.md:4: there is no package `two`",
                "a.md:7: there is no example `c`",
            ]
        );
    }
}
