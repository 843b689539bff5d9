//! Opening what does not wait: a single name by the system, everything else by wasmtime-wasi.

use super::open::{Open, Opened};
use super::operations::WasiPaths;
use super::single::{Single, is_single_name};
use super::slashes;
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, OpenFlags, PathFlags,
};

/// Whether a flag is among them that wasmtime-wasi does not open files with.
pub(super) fn synchronised(wanted: DescriptorFlags) -> bool {
    let all = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    wanted.intersects(all)
}

impl Open<'_> {
    /// Whether the system opens it as what it is named: a single component, and flags that wasmtime-wasi takes.
    pub(super) fn is_single(&self) -> bool {
        let only = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        is_single_name(&self.path)
            && !synchronised(self.wanted)
            && !(self.how.contains(OpenFlags::DIRECTORY) && self.how.intersects(only))
    }

    /// Opens it.
    pub(super) fn plain(mut self, paths: &mut WasiPaths) -> Result<Opened> {
        if self.is_single() {
            let single = Single {
                dir: self.dir,
                name: &self.path,
            };
            if let Some(found) = single.open(self.follow, self.how, self.wanted)? {
                return Ok(Opened::Plain(found));
            }
            // A link, to be followed.
            self.ask_for_directory();
        }
        if let Some(found) = self.open_existing(paths)? {
            return Ok(Opened::Plain(found));
        }
        self.by_path(paths, self.how).map(Opened::Plain)
    }

    /// wasmtime-wasi would open what may have to be made for writing: what is there already is opened as asked.
    fn open_existing(&self, paths: &mut WasiPaths) -> Result<Option<Descriptor>> {
        let writes = self.wanted.contains(DescriptorFlags::WRITE);
        let made_anyway = self.how != OpenFlags::CREATE || writes;
        if made_anyway || synchronised(self.wanted) || slashes::without(&self.path).1 {
            return Ok(None);
        }
        self.dir.check_perms()?;
        match self.by_path(paths, OpenFlags::empty()) {
            Err(Error::Errno(Errno::Noent)) => Ok(None),
            Ok(Descriptor::Dir(_)) => Err(Errno::Isdir.into()),
            Err(Error::Errno(Errno::Acces)) => {
                match paths.type_at(self.dir, self.follow, self.path.clone()) {
                    Ok(DescriptorType::Directory) => Err(Errno::Isdir.into()),
                    _ => Err(Errno::Acces.into()),
                }
            }
            found => found.map(Some),
        }
    }

    /// Opens it through wasmtime-wasi. What fails for a reason that wasmtime-wasi has no name for is opened once more by the
    /// system, as a name in its directory, which says why.
    fn by_path(&self, paths: &mut WasiPaths, how: OpenFlags) -> Result<Descriptor> {
        let follows = self.follow.contains(PathFlags::SYMLINK_FOLLOW);
        let path = self.path.clone();
        let failed = match paths.open_at(self.dir, self.follow, path, how, self.wanted) {
            Err(Error::Errno(Errno::Io)) => Errno::Io,
            // No directory, says Linux of a link that is not to be followed and shall be one.
            Err(Error::Errno(Errno::Loop)) if how.contains(OpenFlags::DIRECTORY) && !follows => {
                Errno::Loop
            }
            opened => return opened,
        };
        let found = paths.parent_and_name((self.dir, &self.path));
        let Some((Some(dir), name)) = found else {
            return Err(failed.into());
        };
        let opened = Single { dir: &dir, name }.open(self.follow, how, self.wanted)?;
        opened.ok_or(failed.into())
    }
}
