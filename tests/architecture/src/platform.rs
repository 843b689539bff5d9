//! What depends on the platform is in `sys/`.
//!
//! Elsewhere in the sources of a crate, and in its tests, no code is compiled for some platforms
//! only. Nor does any code call the system by `libc`, `windows_sys` or `rustix`, or by parts of the
//! standard library for one platform. Two things may be used everywhere: `rustix`'s `Errno`, as a
//! type or by its constants, and the descriptors of `std::os::fd`.

use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::lengths::rust_files;

/// What a condition on the platform names.
const CONDITIONS: [&str; 11] = [
    "unix",
    "windows",
    "target_abi",
    "target_arch",
    "target_endian",
    "target_env",
    "target_family",
    "target_os",
    "target_pointer_width",
    "target_thread_local",
    "target_vendor",
];

/// Paths that lead to a system.
const SYSTEMS: [&[&str]; 5] = [
    &["libc"],
    &["rustix"],
    &["windows_sys"],
    &["std", "os"],
    &["core", "os"],
];

/// Paths of those that may be named anywhere.
const TRAVEL: [&[&str]; 2] = [&["rustix", "io", "Errno"], &["std", "os", "fd"]];

/// Sources outside of `sys/` that depend on the platform, a line for each place.
///
/// # Panics
///
/// Panics on a source that cannot be read, or has tokens that Rust has not.
#[must_use]
pub fn findings(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files);
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let below = file.strip_prefix(root).unwrap();
        if !is_bound(below) {
            continue;
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let tokens: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let mut said = Vec::new();
        look(tokens, &mut said);
        let line = |what| format!("{}: {what} outside of sys/", below.display());
        found.extend(said.into_iter().map(line));
    }
    found
}

/// Whether the file is one of `crates/NAME/src` that is neither in `sys/` nor is `sys.rs`.
fn is_bound(file: &Path) -> bool {
    let parts: Vec<PathBuf> = file.iter().map(PathBuf::from).collect();
    let [_, _, src, inner @ ..] = &parts[..] else {
        return false;
    };
    let is_sys = |part: &PathBuf| part.file_stem().is_some_and(|stem| stem == "sys");
    src.as_os_str() == "src" && !inner.iter().any(is_sys)
}

/// Notes each place in `tokens` that depends on the platform.
fn look(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => look(group.stream(), found),
            TokenTree::Ident(name) if name == "cfg" || name == "cfg_attr" => {
                if let Some(condition) = condition(&tokens[at + 1..]) {
                    found.push(format!("`{name}` of `{condition}`"));
                }
            }
            TokenTree::Ident(_) if !is_continued(&tokens[..at]) => {
                let path = path(&tokens[at..]);
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                let leads = |to: &[&[&str]]| to.iter().any(|one| path.starts_with(one));
                if leads(&SYSTEMS) && path.len() > 1 && !leads(&TRAVEL) {
                    found.push(format!("`{}`", path.join("::")));
                }
            }
            _ => {}
        }
    }
}

/// The parts of the platform that the parentheses after `cfg`, `cfg_attr` or `cfg!` name.
fn condition(after: &[TokenTree]) -> Option<String> {
    let mut after = after.iter();
    let group = match after.next()? {
        TokenTree::Punct(punct) if punct.as_char() == '!' => after.next()?,
        token => token,
    };
    match group {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Parenthesis => {
            named(group.stream())
        }
        _ => None,
    }
}

fn named(tokens: TokenStream) -> Option<String> {
    tokens.into_iter().find_map(|token| match token {
        TokenTree::Ident(name) => {
            let name = name.to_string();
            CONDITIONS.contains(&name.as_str()).then_some(name)
        }
        TokenTree::Group(group) => named(group.stream()),
        _ => None,
    })
}

/// Whether the token before is the first part of a path, or the dot of a field or a method.
fn is_continued(before: &[TokenTree]) -> bool {
    let is = |token: Option<&TokenTree>, sign| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign);
    let mut back = before.iter().rev();
    let (last, before) = (back.next(), back.next());
    if is(last, ':') && is(before, ':') {
        // `::libc::read` begins there.
        return matches!(back.next(), Some(TokenTree::Ident(_)));
    }
    is(last, '.') && !is(before, '.')
}

/// The path that `tokens` begin with. One that ends in braces has `{` as its last part.
fn path(tokens: &[TokenTree]) -> Vec<String> {
    let mut parts = Vec::new();
    let mut rest = tokens;
    while let [TokenTree::Ident(part), after @ ..] = rest {
        parts.push(part.to_string());
        match after {
            [TokenTree::Punct(a), TokenTree::Punct(b), further @ ..]
                if a.as_char() == ':' && b.as_char() == ':' =>
            {
                rest = further;
            }
            _ => return parts,
        }
    }
    parts.push("{".to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings on a crate with this source.
    fn of(file: &str, text: &str) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("crates/one").join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        findings(root.path())
    }

    #[test]
    fn what_depends_on_the_platform_is_found() {
        for (text, what) in [
            ("#[cfg(unix)] fn f() {}", "`cfg` of `unix`"),
            (
                "#[cfg(all(test, not(target_os = \"linux\")))] mod m {}",
                "`cfg` of `target_os`",
            ),
            ("fn f() -> bool { cfg!(windows) }", "`cfg` of `windows`"),
            (
                "#[cfg_attr(target_arch = \"x86\", inline)] fn f() {}",
                "`cfg_attr` of `target_arch`",
            ),
            (
                "#[cfg(test)] mod t { #[cfg(unix)] fn f() {} }",
                "`cfg` of `unix`",
            ),
            ("use libc::read;", "`libc::read`"),
            ("fn f() { unsafe { ::libc::sync() } }", "`libc::sync`"),
            ("use rustix::{fs, io};", "`rustix::{`"),
            ("use rustix::io::{Errno, read};", "`rustix::io::{`"),
            ("fn f(x: rustix::fs::Stat) {}", "`rustix::fs::Stat`"),
            ("use windows_sys::Win32;", "`windows_sys::Win32`"),
            (
                "use std::os::unix::fs::symlink;",
                "`std::os::unix::fs::symlink`",
            ),
            ("fn f() { m!(x, libc::EIO); }", "`libc::EIO`"),
        ] {
            let found = of("src/a/b.rs", text);
            assert_eq!(
                found,
                [format!("crates/one/src/a/b.rs: {what} outside of sys/")],
                "{text}"
            );
        }
    }

    #[test]
    fn what_may_travel_and_what_is_no_platform() {
        for text in [
            "use rustix::io::Errno; use std::os::fd::{AsFd, OwnedFd};",
            "fn f(e: rustix::io::Errno) -> bool { e == rustix::io::Errno::INTR }",
            "#[cfg(test)] mod t {} #[cfg(feature = \"unix\")] fn f() {}",
            "//! libc::read is cfg(unix).\nfn f(libc: u8) -> u8 { libc }",
            "fn f() { a.libc(); crate::sys::libc::read(); \"libc::read\"; }",
        ] {
            assert_eq!(of("src/a.rs", text), [""; 0], "{text}");
        }
    }

    #[test]
    fn sys_may_and_tests_may() {
        for file in [
            "src/sys.rs",
            "src/sys/a/b.rs",
            "src/a/sys/b.rs",
            "tests/a.rs",
        ] {
            assert_eq!(of(file, "#[cfg(unix)] use libc::read;"), [""; 0], "{file}");
        }
    }
}
