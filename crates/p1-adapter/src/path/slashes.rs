//! Slashes behind the last name of a path, with the meaning they have on Linux.
//!
//! A slash says that a directory is meant. Calls on Linux treat it in different ways. A call that
//! makes, removes or renames a directory ignores it. A call that looks at an object follows a link
//! because of it. A call that makes or removes anything else refuses it, with an error that depends
//! on what is there.

use super::operations::WasiPaths;
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::descriptor::Dir;

use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, PathFlags};

/// The last name of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    /// An entry's name.
    Name,
    /// `.`, `..`, or none.
    Dot,
    DotDot,
    None,
}

/// A path without the slashes behind its last name, and whether there were any.
pub(crate) fn without(path: &str) -> (&str, bool) {
    let stripped = path.trim_end_matches('/');
    (stripped, stripped.len() < path.len())
}

/// What a path's last name is.
pub(crate) fn last(path: &str) -> Last {
    let (path, _) = without(path);
    match path.rsplit_once('/').map_or(path, |(_, name)| name) {
        "" => Last::None,
        "." => Last::Dot,
        ".." => Last::DotDot,
        _ => Last::Name,
    }
}

/// Whether looking at `path` follows a link at its end whatever was asked: it ends in a slash or a
/// dot.
pub(crate) fn follow_anyway(path: &str) -> bool {
    without(path).1 || (last(path) == Last::Dot && path != ".")
}

impl WasiPaths {
    /// What lies at a path that ends in a slash, if it ends in a name; the link and not what it
    /// leads to. Otherwise nothing.
    fn slashed(&mut self, dir: &Dir, path: &str) -> Option<Result<DescriptorType>> {
        let (stripped, slashed) = without(path);
        if !slashed || last(path) != Last::Name {
            return None;
        }
        Some(self.type_at(dir, PathFlags::empty(), stripped.to_owned()))
    }

    /// Fails where a file shall be removed and a slash says that a directory is meant.
    pub(crate) fn check_slash_of_removed(&mut self, dir: &Dir, path: &str) -> Result<()> {
        let Some(found) = self.slashed(dir, path) else {
            return Ok(());
        };
        dir.check_perms()?;
        Err(match found? {
            DescriptorType::Directory => Errno::Isdir.into(),
            _ => Errno::Notdir.into(),
        })
    }

    /// What making something that is no directory says: `exist` where a slash says that a directory
    /// is meant and something is there, of whatever type. (wasmtime-wasi resolves it, and fails
    /// with what it finds on the way.)
    pub(super) fn slash_of_made(&mut self, made: Result<()>, dir: &Dir, path: &str) -> Result<()> {
        if let Err(Error::Errno(Errno::Notdir | Errno::Noent | Errno::Loop)) = &made
            && let Some(Ok(_)) = self.slashed(dir, path)
        {
            return Err(Errno::Exist.into());
        }
        made
    }

    /// Fails if the directory to be removed is named `..`: it cannot be empty, since it contains
    /// the directory that `..` was looked up in.
    pub(crate) fn check_removed_directory(&mut self, dir: &Dir, path: &str) -> Result<()> {
        if last(path) != Last::DotDot {
            return Ok(());
        }
        dir.check_perms()?;
        self.type_at(dir, PathFlags::SYMLINK_FOLLOW, path.to_owned())?;
        Err(Errno::Notempty.into())
    }
}

#[cfg(test)]
mod tests {
    use super::{Last, follow_anyway, last, without};

    #[test]
    fn slashes_are_told_from_names() {
        assert_eq!(without("a/b//"), ("a/b", true));
        assert_eq!(without("a/b"), ("a/b", false));
        assert_eq!(without("//"), ("", true));
        let all = [
            ("a/", Last::Name),
            ("a/.", Last::Dot),
            ("..//", Last::DotDot),
            ("/", Last::None),
        ];
        for (path, kind) in all {
            assert_eq!(last(path), kind, "{path}");
        }
    }

    #[test]
    fn a_slash_and_a_dot_follow() {
        for path in ["a/", "a//", "a/.", "a/./", "./"] {
            assert!(follow_anyway(path), "{path}");
        }
        for path in ["a", "./a", ".", "", "a.", "a/..b"] {
            assert!(!follow_anyway(path), "{path}");
        }
    }
}
