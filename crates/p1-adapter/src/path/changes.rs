//! Looking at names and changing them: the system for a single name, wasmtime-wasi for everything
//! else, and what slashes behind the last name mean in either case.

use super::operations::WasiPaths;
use super::single::single;
use super::slashes::{self, Last};
use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{Errno, Filestat};
use crate::descriptor::Dir;
use wasmtime_wasi::p2::bindings::filesystem::types::PathFlags;

impl WasiPaths {
    /// The attributes of what lies at `path`: one system call for a single name, unless it is a
    /// link to be followed.
    pub(crate) fn stat(
        &mut self,
        dir: &Dir,
        mut follow: PathFlags,
        path: &str,
    ) -> Result<Filestat> {
        if let Some(single) = single(dir, path)
            && let Some(stat) = single.stat(follow)?
        {
            return Ok(stat);
        }
        if slashes::follow_anyway(path) {
            follow |= PathFlags::SYMLINK_FOLLOW;
        }
        let stat = self.stat_at(dir, follow, path.to_owned());
        let stat = stat.and_then(|(stat, hash)| convert::filestat_from_p2(&stat, &hash));
        self.once_more(stat, (dir, path), |name| {
            name.stat(follow)?.ok_or_else(|| Errno::Io.into())
        })
    }

    /// What the link at `path` leads to.
    pub(crate) fn readlink(&mut self, dir: &Dir, path: &str) -> Result<String> {
        if let Some(single) = single(dir, path) {
            return single.readlink();
        }
        let target = self.readlink_at(dir, path.to_owned());
        self.once_more(target, (dir, path), |name| name.readlink())
    }

    pub(crate) fn create_directory(&mut self, dir: &Dir, path: &str) -> Result<()> {
        let stripped = slashes::without(path).0;
        match single(dir, stripped) {
            Some(single) => single.create_directory(),
            None => {
                let made = self.create_directory_at(dir, path.to_owned());
                self.once_more(made, (dir, stripped), |name| name.create_directory())
            }
        }
    }

    pub(crate) fn remove_directory(&mut self, dir: &Dir, path: &str) -> Result<()> {
        let stripped = slashes::without(path).0;
        if let Some(single) = single(dir, stripped) {
            return single.remove_directory();
        }
        self.check_removed_directory(dir, path)?;
        let path = match slashes::last(path) {
            Last::Name => stripped,
            _ => path,
        };
        let removed = self.remove_directory_at(dir, path.to_owned());
        self.once_more(removed, (dir, path), |name| name.remove_directory())
    }

    pub(crate) fn unlink_file(&mut self, dir: &Dir, path: &str) -> Result<()> {
        if let Some(single) = single(dir, path) {
            return single.unlink_file();
        }
        self.check_slash_of_removed(dir, path)?;
        let removed = self.unlink_file_at(dir, path.to_owned());
        self.once_more(removed, (dir, path), |name| name.unlink_file())
    }

    pub(crate) fn rename(&mut self, from: &Dir, old: &str, to: &Dir, new: &str) -> Result<()> {
        match (single(from, old), single(to, new)) {
            (Some(old), Some(new)) => old.rename(new),
            _ => {
                let moved = self.rename_at(from, old.to_owned(), to, new.to_owned());
                self.once_more_both(moved, (from, old), (to, new), |old, new| old.rename(new))
            }
        }
    }

    pub(crate) fn symlink(&mut self, dir: &Dir, target: String, path: String) -> Result<()> {
        // A target that must not be is refused before the system is asked.
        let made = self.symlink_at(dir, target.clone(), path.clone());
        let made = self.once_more(made, (dir, &path), |name| name.symlink(&target));
        self.slash_of_made(made, dir, &path)
    }

    pub(crate) fn link(
        &mut self,
        (from, follow, old): (&Dir, PathFlags, String),
        (to, new): (&Dir, String),
    ) -> Result<()> {
        let linked = self.link_at(from, follow, old.clone(), to, new.clone());
        let linked =
            self.once_more_both(linked, (from, &old), (to, &new), |old, new| old.link(new));
        self.slash_of_made(linked, to, &new)
    }
}
