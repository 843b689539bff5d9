//! No two types of a crate share a name.
//!
//! The same name twice in one file is one type for two configurations, and the files of a
//! `sys` folder are twins for several platforms: each counts once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::Item;

use crate::source::Crate;

/// Names of types that more than one file of the crate defines, a line each.
#[must_use]
pub fn findings(krate: &Crate) -> Vec<String> {
    let mut homes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for module in krate.modules.values() {
        for item in &module.items {
            if let Some(name) = name(item) {
                homes.entry(name).or_default().insert(home(&module.file));
            }
        }
    }
    let twice = homes.into_iter().filter(|(_, homes)| homes.len() > 1);
    twice
        .map(|(name, homes)| {
            let homes: Vec<_> = homes.into_iter().collect();
            format!(
                "{}: `{name}` is a type of {}",
                krate.name,
                homes.join(" and of ")
            )
        })
        .collect()
}

/// The name of the type that an item defines, if it does.
fn name(item: &Item) -> Option<String> {
    Some(match item {
        Item::Enum(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// What counts as one place: a file, or the first `sys` folder that it is in.
fn home(file: &Path) -> String {
    let sys = file
        .ancestors()
        .filter(|above| above.file_name().is_some_and(|name| name == "sys"));
    sys.last().unwrap_or(file).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_twice_is_found_but_in_sys() {
        let src = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(src.path().join("sys")).unwrap();
        for (file, text) in [
            ("lib.rs", "mod a; mod b; mod sys;"),
            (
                "a.rs",
                "struct Place; #[cfg(x)] type Own = u8; #[cfg(not(x))] type Own = u16;",
            ),
            (
                "b.rs",
                "trait Other {} mod inner { enum Place {} } #[cfg(test)] struct Own;",
            ),
            (
                "sys/mod.rs",
                "#[cfg(unix)] mod unix; #[cfg(windows)] mod windows;",
            ),
            ("sys/unix.rs", "struct Handle;"),
            ("sys/windows.rs", "struct Handle;"),
        ] {
            std::fs::write(src.path().join(file), text).unwrap();
        }
        let krate = Crate::read("it".to_owned(), src.path());
        assert_eq!(
            findings(&krate),
            ["it: `Place` is a type of a.rs and of b.rs"]
        );
    }
}
