//! Checks of the source tree, computed from the sources themselves.
//!
//! - [`lengths`]: no file is longer than a reader can hold in mind.
//! - [`folders`]: the folders of a crate use one another in one direction.
//! - [`names`]: no two types of a crate share a name.
//! - [`impls`]: a type has its methods in its own folder.
//! - [`columns`]: no comment and no page is wider than 100 columns.
//! - [`words`]: a thread is "it", and words are those of the glossary.
//! - [`links`]: links of pages, and `#[path]`s of files, lead to something.
//! - [`commands`]: scripts, packages and targets that commands name are there.
//! - [`manifests`]: `fuzz` has what the binary's sources use.
//! - [`platform`]: what depends on the platform is in `sys/`.
//! - [`page`]: `docs/architecture.md` names the folders, in their order.
//!
//! Each check returns its findings as lines of text. `tests/tree.rs` runs them on the
//! project; `scripts/architecture.sh` prints them for any tree.

pub mod columns;
pub mod commands;
pub mod folders;
pub mod impls;
pub mod lengths;
pub mod links;
pub mod manifests;
pub mod names;
pub mod page;
mod paths;
pub mod platform;
mod prose;
mod source;
pub mod words;

pub use source::{Crate, crates};

/// All findings of all checks on the project at `root`.
///
/// # Panics
///
/// Panics on a file that cannot be read or is not Rust: the checks are part of a test.
#[must_use]
pub fn findings(root: &std::path::Path) -> Vec<String> {
    let mut found = lengths::findings(root);
    found.extend(columns::findings(root));
    found.extend(words::findings(root));
    found.extend(links::findings(root));
    found.extend(commands::findings(root));
    found.extend(manifests::findings(root));
    found.extend(platform::findings(root));
    let crates = crates(root);
    for krate in &crates {
        found.extend(folders::findings(krate));
        found.extend(impls::findings(krate));
        found.extend(names::findings(krate));
    }
    found.extend(page::findings(root, &crates));
    found
}
