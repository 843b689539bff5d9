//! No two types of a crate share a name.
//!
//! The types of all modules count, with those inside of functions, and those that wiggle makes of
//! the crate's `witx` files. Two types of one name are alternatives, and no finding, if only one is
//! compiled. That is so if both are under a `cfg` in one module, or in a module that is declared
//! twice, each time under a `cfg`. Below a `sys` folder they may also be in two modules that are
//! declared side by side, both under a `cfg`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use syn::visit::{self, Visit};
use syn::{Attribute, Item};

use crate::source::{self, Crate, ModulePath};

/// A place where a type gets its name.
struct Home {
    module: ModulePath,
    file: PathBuf,
    /// The item itself is under a `cfg`.
    is_conditional: bool,
}

/// Names of types that are defined more than once, a line each.
#[must_use]
pub fn findings(krate: &Crate) -> Vec<String> {
    let mut homes: BTreeMap<String, Vec<Home>> = BTreeMap::new();
    for (path, module) in &krate.modules {
        let mut collector = Collector::default();
        for item in &module.items {
            collector.visit_item(item);
        }
        for (name, is_conditional) in collector.found {
            let home = Home {
                module: path.clone(),
                file: module.file.clone(),
                is_conditional,
            };
            homes.entry(name).or_default().push(home);
        }
    }
    for (name, file) in &krate.generated {
        let home = Home {
            module: vec![file.display().to_string()],
            file: file.clone(),
            is_conditional: false,
        };
        homes.entry(name.clone()).or_default().push(home);
    }
    let twice = homes
        .into_iter()
        .filter(|(_, homes)| !are_alternatives(krate, homes));
    twice
        .map(|(name, homes)| {
            let homes: Vec<_> = homes
                .iter()
                .map(|home| home.file.display().to_string())
                .collect();
            format!(
                "{}: `{name}` is a type of {}",
                krate.name,
                homes.join(" and of ")
            )
        })
        .collect()
}

/// Whether no two of them are compiled together.
fn are_alternatives(krate: &Crate, homes: &[Home]) -> bool {
    homes.iter().enumerate().all(|(index, one)| {
        homes[index + 1..].iter().all(|other| {
            if one.module == other.module {
                (one.is_conditional && other.is_conditional)
                    || (krate.modules.get(&one.module))
                        .is_some_and(|module| module.has_alternatives)
            } else {
                are_twins(krate, &one.module, &other.module)
            }
        })
    })
}

/// Whether two modules are, or are below, modules for different platforms.
fn are_twins(krate: &Crate, one: &ModulePath, other: &ModulePath) -> bool {
    let shared = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let is_conditional = |path: &ModulePath| {
        path.get(..=shared)
            .and_then(|branch| krate.modules.get(branch))
            .is_some_and(|module| module.is_conditional)
    };
    one[..shared].iter().any(|part| part == "sys") && is_conditional(one) && is_conditional(other)
}

/// Collects the types that items define: the name, and whether it is under a `cfg`.
#[derive(Default)]
struct Collector {
    found: Vec<(String, bool)>,
}

impl Visit<'_> for Collector {
    fn visit_item(&mut self, item: &Item) {
        let attributes = source::attributes(item);
        if source::is_test(attributes) {
            return;
        }
        if let Some(name) = name(item) {
            self.found.push((name, is_conditional(attributes)));
        }
        visit::visit_item(self, item);
    }
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

fn is_conditional(attributes: &[Attribute]) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident("cfg"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings on a crate of these files.
    fn of(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        for (file, text) in files {
            let path = root.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        findings(&Crate::read("it".to_owned(), &root.path().join("src")))
    }

    #[test]
    fn a_name_twice_is_found() {
        let found = of(&[
            ("src/lib.rs", "mod a; mod b;"),
            (
                "src/a.rs",
                "struct Place; #[cfg(x)] type Own = u8; #[cfg(not(x))] type Own = u16;",
            ),
            (
                "src/b.rs",
                "trait Other {} mod inner { enum Place {} } #[cfg(test)] struct Own;",
            ),
        ]);
        assert_eq!(found, ["it: `Place` is a type of a.rs and of b.rs"]);
    }

    #[test]
    fn a_name_twice_in_one_file_is_found() {
        let found = of(&[(
            "src/lib.rs",
            "mod one { struct Place; } mod other { struct Place; }",
        )]);
        assert_eq!(found, ["it: `Place` is a type of lib.rs and of lib.rs"]);
    }

    #[test]
    fn a_module_for_each_configuration_is_one() {
        let found = of(&[(
            "src/lib.rs",
            "#[cfg(x)] mod one { struct Place; } #[cfg(not(x))] mod one { struct Place; }",
        )]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_name_inside_of_functions_is_found() {
        let found = of(&[(
            "src/lib.rs",
            "fn a() { struct Restore; } struct A; impl A { fn b() { if c() { enum Restore {} } } }",
        )]);
        assert_eq!(found, ["it: `Restore` is a type of lib.rs and of lib.rs"]);
    }

    #[test]
    fn a_name_that_witx_makes_is_found() {
        let found = of(&[
            (
                "src/lib.rs",
                "struct Event; struct Subscription; struct ClockId;",
            ),
            (
                "witx/typenames.witx",
                "(typename $event\n (record)) ;; (typename $subscription\n(typename $clock_id u32)",
            ),
        ]);
        assert_eq!(
            found,
            [
                "it: `ClockId` is a type of lib.rs and of witx/typenames.witx",
                "it: `Event` is a type of lib.rs and of witx/typenames.witx",
            ]
        );
    }

    #[test]
    fn in_sys_only_alternatives_share_a_name() {
        let sys = "pub mod one; pub mod two; #[cfg(unix)] mod unix; #[cfg(windows)] mod windows;";
        let twins = |one: &'static str, two: &'static str| {
            of(&[
                ("src/lib.rs", "mod sys;"),
                ("src/sys/mod.rs", sys),
                ("src/sys/unix/mod.rs", "mod deep; struct Handle;"),
                ("src/sys/unix/deep.rs", "struct Walk;"),
                ("src/sys/windows.rs", "struct Handle; struct Walk;"),
                ("src/sys/one.rs", one),
                ("src/sys/two.rs", two),
            ])
        };
        assert_eq!(twins("struct Stack;", ""), [""; 0]);
        assert_eq!(
            twins("struct Stack;", "struct Stack;"),
            ["it: `Stack` is a type of sys/one.rs and of sys/two.rs"]
        );
        assert_eq!(twins("struct Handle;", "").len(), 1);
        let elsewhere = of(&[
            ("src/lib.rs", "#[cfg(unix)] mod a; #[cfg(windows)] mod b;"),
            ("src/a.rs", "struct Place;"),
            ("src/b.rs", "struct Place;"),
        ]);
        assert_eq!(elsewhere.len(), 1, "{elsewhere:?}");
        let within_one = of(&[
            ("src/lib.rs", "mod sys;"),
            ("src/sys/mod.rs", "#[cfg(unix)] mod unix;"),
            ("src/sys/unix/mod.rs", "mod deep; struct Stack;"),
            ("src/sys/unix/deep.rs", "struct Stack;"),
        ]);
        assert_eq!(within_one.len(), 1, "{within_one:?}");
    }
}
