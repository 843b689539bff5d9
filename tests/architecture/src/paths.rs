//! Which module a path leads to.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::{self, Crate, Module, ModulePath, is_test};

/// Imports are followed this far: re-exports of re-exports end well before.
const MOST_STEPS: usize = 16;

/// Every path that `module` names, as it is written.
pub(crate) fn written(module: &Module) -> Vec<Vec<String>> {
    let mut collector = Collector::default();
    for item in &module.items {
        collector.visit_item(item);
    }
    let imports = module.imports.iter().map(|(_, path)| path);
    collector.found.extend(imports.cloned());
    collector.found.extend(module.globs.iter().cloned());
    collector.found
}

/// The module that defines what `path` names in the module `from`. `None` if it is not this
/// crate's.
pub(crate) fn target(krate: &Crate, from: &ModulePath, path: &[String]) -> Option<ModulePath> {
    resolve(krate, from, path, MOST_STEPS)
}

fn resolve(krate: &Crate, from: &ModulePath, path: &[String], steps: usize) -> Option<ModulePath> {
    let steps = steps.checked_sub(1)?;
    let (first, mut rest) = path.split_first()?;
    let mut at = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.clone(),
        "super" => from[..from.len().checked_sub(1)?].to_vec(),
        _ => {
            // A name in scope: a module below, something defined here, or an import.
            let mut below = from.clone();
            below.push(first.clone());
            if krate.modules.contains_key(&below) {
                below
            } else {
                return named(krate, from, first, steps).map(|(module, is_module)| {
                    let inner = (!rest.is_empty() && is_module)
                        .then(|| inside(krate, &module, rest, steps));
                    inner.flatten().unwrap_or(module)
                });
            }
        }
    };
    while rest.first().is_some_and(|part| part == "super") {
        at.pop()?;
        rest = &rest[1..];
    }
    inside(krate, &at, rest, steps)
}

/// Where `rest` leads from the module `at`.
fn inside(krate: &Crate, at: &ModulePath, rest: &[String], steps: usize) -> Option<ModulePath> {
    let Some((name, rest)) = rest.split_first() else {
        return Some(at.clone());
    };
    let mut below = at.clone();
    below.push(name.clone());
    if krate.modules.contains_key(&below) {
        return inside(krate, &below, rest, steps);
    }
    match named(krate, at, name, steps) {
        Some((module, true)) => inside(krate, &module, rest, steps),
        Some((module, false)) => Some(module),
        // A variant, an associated item, or something a macro defines.
        None => Some(at.clone()),
    }
}

/// The module that defines the `name` which the module `at` knows, and false. Or the module that is
/// called `name`, and true.
fn named(krate: &Crate, at: &ModulePath, name: &str, steps: usize) -> Option<(ModulePath, bool)> {
    let module = krate.modules.get(at)?;
    if module.defines.contains(name) {
        return Some((at.clone(), false));
    }
    for (known, path) in &module.imports {
        if known == name
            && path
                .first()
                .is_some_and(|first| first != name || path.len() > 1)
        {
            let found = resolve(krate, at, path, steps)?;
            let is_module = found.last() == path.last();
            return Some((found, is_module));
        }
    }
    let steps = steps.checked_sub(1)?;
    module.globs.iter().find_map(|glob| {
        let from = resolve(krate, at, glob, steps)?;
        (from != *at)
            .then(|| named(krate, &from, name, steps))
            .flatten()
    })
}

/// Collects paths, inside of macro calls too.
#[derive(Default)]
struct Collector {
    found: Vec<Vec<String>>,
}

impl Visit<'_> for Collector {
    fn visit_path(&mut self, path: &syn::Path) {
        let parts = path.segments.iter().map(|part| part.ident.to_string());
        self.found.push(parts.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &syn::Macro) {
        self.tokens(call.tokens.clone(), &[]);
        visit::visit_macro(self, call);
    }

    fn visit_item(&mut self, item: &syn::Item) {
        if let syn::Item::Mod(part) = item
            && is_test(&part.attrs)
        {
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &syn::ItemUse) {
        let mut names = Vec::new();
        source::imports(&item.tree, &mut Vec::new(), &mut names, &mut self.found);
        self.found.extend(names.into_iter().map(|(_, path)| path));
    }

    fn visit_visibility(&mut self, _: &syn::Visibility) {
        // `pub(in path)` uses nothing.
    }
}

impl Collector {
    /// Paths in the tokens of a macro call; `before` leads to a group of them, as in
    /// `before::{a, b}`.
    fn tokens(&mut self, tokens: TokenStream, before: &[String]) {
        let mut path = before.to_vec();
        let mut colons = if before.is_empty() { 0 } else { 2 };
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.end(&mut path, before);
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => {
                    let continues = colons == 2 && group.delimiter() == Delimiter::Brace;
                    let parts = if continues { path.as_slice() } else { &[] };
                    self.tokens(group.stream(), parts);
                    self.end(&mut path, before);
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    self.end(&mut path, before);
                    colons = if before.is_empty() { 0 } else { 2 };
                }
                _ => {
                    self.end(&mut path, before);
                    colons = 0;
                }
            }
        }
        self.end(&mut path, before);
    }

    /// Notes the path, if anything has come to what was `before`.
    fn end(&mut self, path: &mut Vec<String>, before: &[String]) {
        let whole = std::mem::replace(path, before.to_vec());
        if whole.len() > before.len() {
            self.found.push(whole);
        }
    }
}
