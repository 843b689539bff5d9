//! A type has its methods in its own folder, or below it.
//!
//! A call of a method on a value needs no path. So with an `impl` in a folder further up, the
//! type's folder could use that folder unseen. Traits are left out, because their names are paths.

use std::path::{Path, PathBuf};

use syn::{Item, Type};

use crate::paths;
use crate::source::Crate;

/// Methods of a type outside of its folder, a line for each `impl`.
#[must_use]
pub fn findings(krate: &Crate) -> Vec<String> {
    let mut found = Vec::new();
    for (at, module) in &krate.modules {
        for item in &module.items {
            let Item::Impl(methods) = item else { continue };
            let Type::Path(ty) = &*methods.self_ty else {
                continue;
            };
            if methods.trait_.is_some() {
                continue;
            }
            let parts = ty.path.segments.iter().map(|part| part.ident.to_string());
            let path: Vec<_> = parts.collect();
            let target = paths::target(krate, at, &path);
            let Some(home) = target.and_then(|target| krate.modules.get(&target)) else {
                continue;
            };
            let folder = home.file.parent().unwrap_or(Path::new(""));
            if !inside(&module.file).starts_with(folder) {
                found.push(format!(
                    "{}: {} has methods of `{}`, a type of {}",
                    krate.name,
                    module.file.display(),
                    path.join("::"),
                    home.file.display()
                ));
            }
        }
    }
    found
}

/// The folder that a file stands for: the folder of its name beside it, which holds its parts.
fn inside(file: &Path) -> PathBuf {
    file.with_extension("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_in_another_folder_are_found() {
        let src = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("lib.rs", "mod one; mod two;"),
            (
                "one/mod.rs",
                "mod part; mod below; pub struct A; pub trait T {}",
            ),
            ("one/part.rs", "use super::A; impl A { fn a(&self) {} }"),
            (
                "one/below/mod.rs",
                "use crate::one::A; impl A { fn b(&self) {} }",
            ),
            (
                "two.rs",
                "mod part; use part::B; impl B { fn d(&self) {} } impl crate::one::T for B {}",
            ),
            (
                "two/part.rs",
                "use crate::one; pub struct B; impl one::A { fn c(&self) {} } impl one::T for one::A {}",
            ),
        ] {
            let path = src.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let krate = Crate::read("it".to_owned(), src.path());
        assert_eq!(
            findings(&krate),
            ["it: two/part.rs has methods of `one::A`, a type of one/mod.rs"]
        );
    }
}
