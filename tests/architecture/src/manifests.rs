//! `fuzz/Cargo.toml` has what the binary's sources use: one fuzz target compiles them, and no usual
//! build of the workspace compiles that target.

use std::path::Path;

/// Dependencies of `crates/cli` that `fuzz` lacks in the tree at `root`, a line each. A tree
/// without either manifest has none.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(root.join(path));
    let (Ok(binary), Ok(fuzz)) = (read("crates/cli/Cargo.toml"), read("fuzz/Cargo.toml")) else {
        return Vec::new();
    };
    let has = dependencies(&fuzz);
    dependencies(&binary)
        .into_iter()
        .filter(|name| !has.contains(name))
        .map(|name| format!("fuzz/Cargo.toml: `{name}` is missing, which crates/cli depends on"))
        .collect()
}

/// The names under `[dependencies]`, and under those of all Unix targets.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut counts = false;
    let mut names = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            counts = line == "[dependencies]" || line == "[target.'cfg(unix)'.dependencies]";
        } else if counts
            && let Some(end) = line.find([' ', '.', '='])
            && !line.starts_with('#')
        {
            names.push(&line[..end]);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_fuzz_targets_lack_is_found() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        assert!(findings(root.path()).is_empty());
        write(
            "crates/cli/Cargo.toml",
            "[dependencies]\n# as = \"1\"\na.workspace = true\nb = \"1\"\n[target.'cfg(unix)'.dependencies]\n\
             c = { path = \"c\" }\n[dev-dependencies]\nd = \"1\"\n",
        );
        write(
            "fuzz/Cargo.toml",
            "[dependencies]\na = \"1\"\n[features]\nb = [\"dep:c\"]\n",
        );
        assert_eq!(
            findings(root.path()),
            ["b", "c"].map(|name| format!(
                "fuzz/Cargo.toml: `{name}` is missing, which crates/cli depends on"
            ))
        );
    }
}
