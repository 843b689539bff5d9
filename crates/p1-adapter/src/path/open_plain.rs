//! Opening what does not wait: a single name by the system, everything else by wasmtime-wasi.

use super::open::{Open, Opened};
use super::operations::WasiPaths;
use super::set_times::last_name;
use super::single::{Single, is_single_name};
use super::slashes::{self, Last};
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::sys::fd::AsFd as _;
use crate::sys::open::{is_refused, reopen};
use std::fs::File;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, OpenFlags, PathFlags,
};

/// Whether a flag is among them that wasmtime-wasi does not open files with.
fn synchronised(wanted: DescriptorFlags) -> bool {
    let all = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    wanted.intersects(all)
}

impl Open<'_> {
    /// Whether the system opens it as what it is named: a single component, and flags that go
    /// together.
    pub(super) fn is_single(&self) -> bool {
        let only = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        is_single_name(&self.path)
            && !(self.how.contains(OpenFlags::DIRECTORY) && self.how.intersects(only))
    }

    /// Opens it.
    pub(super) fn plain(mut self, paths: &mut WasiPaths) -> Result<Opened> {
        if self.is_single() {
            let single = Single {
                dir: self.dir,
                name: &self.path,
            };
            if let Some((found, told)) = single.open_and_tell(self.follow, self.how, self.wanted)? {
                return Ok(Opened::Plain(found, told));
            }
            // A link, to be followed.
            self.ask_for_directory();
        }
        if let Some(found) = self.open_synchronised(paths)? {
            return Ok(Opened::Plain(found, None));
        }
        if let Some(found) = self.open_existing(paths)? {
            return Ok(Opened::Plain(found, None));
        }
        let found = self.by_path(paths, self.how)?;
        Ok(Opened::Plain(found, None))
    }

    /// Opens what shall be synchronised by its name in its directory, links at its end followed as
    /// far as they are relative.
    fn open_synchronised(&self, paths: &mut WasiPaths) -> Result<Option<Descriptor>> {
        if !synchronised(self.wanted) {
            return Ok(None);
        }
        let found = match last_name(paths, self.dir, self.follow, &self.path) {
            // To be made.
            Err(Error::Errno(Errno::Noent)) => paths
                .parent_and_name((self.dir, &self.path))?
                .map(|(parent, name)| (parent, name.to_owned())),
            found => found?,
        };
        let Some((parent, name)) = found else {
            return Ok(None);
        };
        let dir = parent.as_ref().unwrap_or(self.dir);
        Single { dir, name: &name }.open(self.follow, self.how, self.wanted)
    }

    /// wasmtime-wasi would open what may have to be made for writing: what is there already is
    /// opened as asked.
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

    /// Opens it through wasmtime-wasi. What fails for a reason that wasmtime-wasi has no name for
    /// is opened once more by the system, as a name in its directory, which says why.
    fn by_path(&self, paths: &mut WasiPaths, how: OpenFlags) -> Result<Descriptor> {
        let follows = self.follow.contains(PathFlags::SYMLINK_FOLLOW);
        let path = self.path.clone();
        let failed = match paths.open_at(self.dir, self.follow, path, how, self.wanted) {
            Err(Error::Errno(Errno::Io)) => Errno::Io,
            // No directory, says Linux of a link that is not to be followed and shall be one.
            Err(Error::Errno(Errno::Acces)) if self.is_itself() => return self.itself(),
            Err(Error::Errno(Errno::Loop)) if how.contains(OpenFlags::DIRECTORY) && !follows => {
                Errno::Loop
            }
            Err(Error::Errno(errno)) => return Err(self.as_the_system_says(how, errno).into()),
            // Without `openat2` wasmtime-wasi only names a directory whose name ends in a slash.
            Ok(Descriptor::Dir(dir)) if is_refused(dir.dir.as_fd()) => {
                return Err(Errno::Acces.into());
            }
            opened => return opened,
        };
        let found = paths.parent_and_name((self.dir, &self.path))?;
        let Some((parent, name)) = found else {
            return Err(failed.into());
        };
        let dir = parent.as_ref().unwrap_or(self.dir);
        let opened = Single { dir, name }.open(self.follow, how, self.wanted)?;
        opened.ok_or(failed.into())
    }

    /// What Linux says where `errno` was found. Without `openat2` wasmtime-wasi resolves the path
    /// by itself, and says something else where a file shall be made whose name ends in a slash, or
    /// is that of a directory.
    fn as_the_system_says(&self, how: OpenFlags, errno: Errno) -> Errno {
        let makes = how.contains(OpenFlags::CREATE) && !how.contains(OpenFlags::DIRECTORY);
        let exclusive = how.contains(OpenFlags::EXCLUSIVE);
        let slashed = slashes::without(&self.path).1;
        match (errno, slashes::last(&self.path)) {
            (Errno::Inval, Last::Name) if makes && slashed => Errno::Isdir,
            (Errno::Isdir, Last::Dot | Last::DotDot) if makes && exclusive => Errno::Exist,
            _ => errno,
        }
    }

    /// Whether the directory itself shall be opened, to be read.
    fn is_itself(&self) -> bool {
        self.path.trim_end_matches('/') == "."
            && [OpenFlags::empty(), OpenFlags::DIRECTORY].contains(&self.how)
            && !self.wanted.contains(DescriptorFlags::WRITE)
    }

    /// The directory anew: one that may be listed and not searched (mode 0400) cannot be asked for
    /// its `.`.
    fn itself(&self) -> Result<Descriptor> {
        let Descriptor::Dir(dir) = &self.dir.inner else {
            return Err(Errno::Notdir.into());
        };
        let again = reopen(self.dir.fd()?).map_err(|_| Errno::Acces)?;
        let again = Dir::new(File::from(again), dir.perms, OpenMode::READ, true);
        Ok(Descriptor::Dir(again))
    }
}
