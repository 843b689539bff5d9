//! Operations that failed with `io` in wasmtime-wasi are made once more by the system.
//!
//! Preview2 has no name for some of what a system says (`EDQUOT`, for one). An operation that
//! failed has changed nothing, so it may be tried again, as a name in its directory. The directory
//! is reached name by name, as the names of [`Single`] are: no link is followed. If a link or `..`
//! is on the way, wasmtime-wasi resolves it. The system's error comes out as itself.

use super::operations::WasiPaths;
use super::refine_errno::PathBelow;
use super::single::{Single, is_single_name};
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::descriptor::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

impl WasiPaths {
    /// The last name of a path, and the directory it is looked up in: none if that is `dir` itself.
    /// Nothing where the path ends in no name, and where wasmtime-wasi cannot open its directory.
    ///
    /// # Errors
    ///
    /// What the system says about the way there.
    pub(super) fn parent_and_name<'a>(
        &mut self,
        (dir, path): PathBelow<'a>,
    ) -> Result<Option<(Option<Dir>, &'a str)>> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        if !is_single_name(name) {
            return Ok(None);
        }
        if path.starts_with('/') {
            return Ok(None);
        }
        if let Some(parent) = name_by_name(dir, parent)? {
            return Ok(Some((parent, name)));
        }
        let (read, directory) = (DescriptorFlags::READ, OpenFlags::DIRECTORY);
        let parent = format!("{parent}/");
        let parent = self.open_at(dir, PathFlags::SYMLINK_FOLLOW, parent, directory, read);
        Ok(parent.ok().map(|parent| (Some(Dir::unnamed(parent)), name)))
    }

    /// `done`, or what the system says where that is `io`.
    pub(super) fn once_more<T>(
        &mut self,
        done: Result<T>,
        place: PathBelow<'_>,
        again: impl FnOnce(Single<'_>) -> Result<T>,
    ) -> Result<T> {
        if !matches!(done, Err(Error::Errno(Errno::Io))) {
            return done;
        }
        let Some((parent, name)) = self.parent_and_name(place)? else {
            return done;
        };
        let dir = parent.as_ref().unwrap_or(place.0);
        again(Single { dir, name })
    }

    /// As [`once_more`](Self::once_more), of two names.
    pub(super) fn once_more_both(
        &mut self,
        done: Result<()>,
        from: PathBelow<'_>,
        to: PathBelow<'_>,
        again: impl FnOnce(Single<'_>, Single<'_>) -> Result<()>,
    ) -> Result<()> {
        if !matches!(done, Err(Error::Errno(Errno::Io))) {
            return done;
        }
        let Some((parent, name)) = self.parent_and_name(from)? else {
            return done;
        };
        let dir = parent.as_ref().unwrap_or(from.0);
        let from = Single { dir, name };
        self.once_more(done, to, |to| again(from, to))
    }
}

/// The directory that `path` leads to, which is `dir` itself if it has no names; nothing if one of
/// them is `..`, a link, or no directory.
fn name_by_name(dir: &Dir, path: &str) -> Result<Option<Option<Dir>>> {
    let mut reached: Option<Dir> = None;
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if !is_single_name(name) {
            return Ok(None);
        }
        let dir = reached.as_ref().unwrap_or(dir);
        let (follow, read) = (PathFlags::SYMLINK_FOLLOW, DescriptorFlags::READ);
        match (Single { dir, name }).open(follow, OpenFlags::DIRECTORY, read) {
            Ok(Some(opened)) => reached = Some(Dir::unnamed(opened)),
            // It may be passed and not be listed: that is for wasmtime-wasi to find out.
            Ok(None) | Err(Error::Errno(Errno::Acces)) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(reached))
}
