//! The modules of a crate, as its files and `mod` items make them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::{Attribute, Item, UseTree};

/// A module's place in its crate: `["life", "slot"]`.
pub(crate) type ModulePath = Vec<String>;

/// A crate: its name and its modules without those of its tests.
pub struct Crate {
    /// The folder of its manifest, below the root: `crates/threads`.
    pub name: String,
    pub(crate) modules: BTreeMap<ModulePath, Module>,
    /// The types that wiggle makes of the `witx` files beside `src`, and those files.
    pub(crate) generated: Vec<(String, PathBuf)>,
}

/// One module: a file, or a part of one.
pub(crate) struct Module {
    /// Its file, below `src`.
    pub(crate) file: PathBuf,
    /// It is declared under a `cfg`.
    pub(crate) is_conditional: bool,
    /// It is declared more than once, each time under a `cfg`.
    pub(crate) has_alternatives: bool,
    pub(crate) items: Vec<Item>,
    /// What it defines.
    pub(crate) defines: BTreeSet<String>,
    /// What it imports: the name here, and the path as written.
    pub(crate) imports: Vec<(String, Vec<String>)>,
    /// The modules whose every name it imports.
    pub(crate) globs: Vec<Vec<String>>,
}

/// Every crate below `root/crates`.
///
/// # Panics
///
/// Panics on a source that cannot be read or parsed.
#[must_use]
pub fn crates(root: &Path) -> Vec<Crate> {
    let mut folders: Vec<_> = std::fs::read_dir(root.join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("Cargo.toml").exists())
        .collect();
    folders.sort();
    folders
        .iter()
        .map(|folder| {
            let name = folder.strip_prefix(root).unwrap().display().to_string();
            Crate::read(name, &folder.join("src"))
        })
        .collect()
}

impl std::fmt::Debug for Crate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crate")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Crate {
    /// Reads the crate whose sources are in `src`.
    pub(crate) fn read(name: String, src: &Path) -> Self {
        let mut modules = BTreeMap::new();
        for top in ["lib.rs", "main.rs"] {
            if src.join(top).exists() {
                read_file(src, Path::new(top), Vec::new(), &[], &mut modules);
            }
        }
        let generated = src.parent().map(generated).unwrap_or_default();
        Self {
            name,
            modules,
            generated,
        }
    }
}

/// The types that the `witx` files of the crate in `folder` name.
fn generated(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut types = Vec::new();
    let files = std::fs::read_dir(folder.join("witx"));
    for entry in files.into_iter().flatten() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(folder).unwrap();
        let code = text.lines().map(|line| line.split(";;").next().unwrap());
        for named in code.flat_map(|line| line.split("(typename $").skip(1)) {
            let name = named.split(|c: char| c.is_whitespace() || c == ')').next();
            types.push((camel_case(name.unwrap()), file.to_owned()));
        }
    }
    types.sort();
    types
}

/// `clock_id` is `ClockId`.
fn camel_case(name: &str) -> String {
    let parts = name.split('_').map(|part| {
        let (first, rest) = part.split_at_checked(1).unwrap_or((part, ""));
        first.to_uppercase() + rest
    });
    parts.collect()
}

/// Reads the module at `path` from `file` (below `src`), and all below it. Its `mod` item has the
/// attributes `declared`.
fn read_file(
    src: &Path,
    file: &Path,
    path: ModulePath,
    declared: &[Attribute],
    modules: &mut BTreeMap<ModulePath, Module>,
) {
    let text = std::fs::read_to_string(src.join(file))
        .unwrap_or_else(|error| panic!("{}: {error}", src.join(file).display()));
    let parsed = syn::parse_file(&text)
        .unwrap_or_else(|error| panic!("{}: {error}", src.join(file).display()));
    add(src, file, path, declared, parsed.items, modules);
}

/// Adds the module at `path` with `items`, and all below it.
fn add(
    src: &Path,
    file: &Path,
    path: ModulePath,
    declared: &[Attribute],
    items: Vec<Item>,
    modules: &mut BTreeMap<ModulePath, Module>,
) {
    let mut module = Module {
        file: file.to_owned(),
        is_conditional: declared.iter().any(|one| one.path().is_ident("cfg")),
        has_alternatives: false,
        items: Vec::new(),
        defines: BTreeSet::new(),
        imports: Vec::new(),
        globs: Vec::new(),
    };
    let mut below = Vec::new();
    for item in items {
        if is_test(attributes(&item)) {
            continue;
        }
        if let Some(name) = defined(&item) {
            module.defines.insert(name);
        }
        match item {
            Item::Mod(part) => {
                let mut path = path.clone();
                path.push(part.ident.to_string());
                below.push((path, part.attrs, part.content));
            }
            Item::Use(import) => {
                let tree = &import.tree;
                imports(
                    tree,
                    &mut Vec::new(),
                    &mut module.imports,
                    &mut module.globs,
                );
                module.items.push(Item::Use(import));
            }
            item => module.items.push(item),
        }
    }
    // A crate with a library and a binary has two roots, and a module may be declared once for each
    // of several configurations. These count as one.
    match modules.get_mut(&path) {
        Some(root) => {
            root.has_alternatives |= root.is_conditional && module.is_conditional;
            root.items.extend(module.items);
            root.defines.extend(module.defines);
            root.imports.extend(module.imports);
            root.globs.extend(module.globs);
        }
        None => drop(modules.insert(path, module)),
    }
    for (path, attributes, content) in below {
        match content {
            Some((_, items)) => add(src, file, path, &attributes, items, modules),
            None => {
                let file = file_of(src, file, &path, &attributes);
                read_file(src, &file, path, &attributes, modules);
            }
        }
    }
}

/// The file of the module at `path`, which is declared in `file`.
fn file_of(src: &Path, file: &Path, path: &[String], attributes: &[Attribute]) -> PathBuf {
    let parent = file.parent().unwrap_or(Path::new(""));
    if let Some(named) = named_file(attributes) {
        return parent.join(named);
    }
    let folder: PathBuf = path[..path.len() - 1].iter().collect();
    let name = path.last().unwrap();
    let file = folder.join(format!("{name}.rs"));
    if src.join(&file).exists() {
        return file;
    }
    folder.join(name).join("mod.rs")
}

/// The file that a `#[path]` attribute names.
fn named_file(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let pair = attribute.meta.require_name_value().ok()?;
        let syn::Expr::Lit(literal) = &pair.value else {
            return None;
        };
        let syn::Lit::Str(text) = &literal.lit else {
            return None;
        };
        pair.path.is_ident("path").then(|| text.value())
    })
}

/// Whether an item is one of tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Ok(list) = attribute.meta.require_list() else {
            return attribute.path().is_ident("test");
        };
        let tokens = list.tokens.to_string();
        list.path.is_ident("cfg")
            && (tokens == "test" || tokens.starts_with("all (test") || tokens == "doctest")
    })
}

pub(crate) fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item gives to something, if it does.
fn defined(item: &Item) -> Option<String> {
    Some(match item {
        Item::Const(item) => item.ident.to_string(),
        Item::Enum(item) => item.ident.to_string(),
        Item::Fn(item) => item.sig.ident.to_string(),
        Item::Macro(item) => item.ident.as_ref()?.to_string(),
        Item::Static(item) => item.ident.to_string(),
        Item::Struct(item) => item.ident.to_string(),
        Item::Trait(item) => item.ident.to_string(),
        Item::Type(item) => item.ident.to_string(),
        Item::Union(item) => item.ident.to_string(),
        _ => return None,
    })
}

/// Notes what a `use` brings in: names with their paths, and modules whose every name it imports.
pub(crate) fn imports(
    tree: &UseTree,
    before: &mut Vec<String>,
    names: &mut Vec<(String, Vec<String>)>,
    globs: &mut Vec<Vec<String>>,
) {
    match tree {
        UseTree::Path(step) => {
            before.push(step.ident.to_string());
            imports(&step.tree, before, names, globs);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = before.last() {
                names.push((last.clone(), before.clone()));
            }
        }
        UseTree::Name(name) => {
            let mut path = before.clone();
            path.push(name.ident.to_string());
            names.push((name.ident.to_string(), path));
        }
        UseTree::Rename(name) => {
            let mut path = before.clone();
            if name.ident != "self" {
                path.push(name.ident.to_string());
            }
            names.push((name.rename.to_string(), path));
        }
        UseTree::Glob(_) => globs.push(before.clone()),
        UseTree::Group(group) => {
            for tree in &group.items {
                imports(tree, before, names, globs);
            }
        }
    }
}
