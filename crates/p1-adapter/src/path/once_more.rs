//! A change that wasmtime-wasi failed with `io`, made once more by the system.
//!
//! Preview2 has no name for some of what a system says (`EDQUOT`, for one). What failed has changed nothing, so it may be
//! tried again: as a name in its directory, which wasmtime-wasi resolves. The system's error comes out as itself.

use super::operations::WasiPaths;
use super::refine_errno::PathBelow;
use super::single::{Single, is_single_name};
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::descriptor::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

impl WasiPaths {
    /// The last name of a path, and the directory it is looked up in: none if that is `dir` itself. Nothing where the path
    /// ends in no name, and where its directory cannot be opened.
    pub(super) fn parent_and_name<'a>(
        &mut self,
        (dir, path): PathBelow<'a>,
    ) -> Option<(Option<Dir>, &'a str)> {
        let (parent, name) = match path.rsplit_once('/') {
            None => return is_single_name(path).then_some((None, path)),
            Some(parts) => parts,
        };
        if !is_single_name(name) {
            return None;
        }
        let (read, directory) = (DescriptorFlags::READ, OpenFlags::DIRECTORY);
        let parent = format!("{parent}/");
        let parent = self.open_at(dir, PathFlags::SYMLINK_FOLLOW, parent, directory, read);
        Some((Some(Dir::unnamed(parent.ok()?)), name))
    }

    /// `done`, or what the system says where that is `io`.
    pub(super) fn once_more(
        &mut self,
        done: Result<()>,
        place: PathBelow<'_>,
        again: impl FnOnce(Single<'_>) -> Result<()>,
    ) -> Result<()> {
        if !matches!(done, Err(Error::Errno(Errno::Io))) {
            return done;
        }
        let Some((parent, name)) = self.parent_and_name(place) else {
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
        let Some((parent, name)) = self.parent_and_name(from) else {
            return done;
        };
        let dir = parent.as_ref().unwrap_or(from.0);
        let from = Single { dir, name };
        self.once_more(done, to, |to| again(from, to))
    }
}
