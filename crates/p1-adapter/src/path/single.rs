//! Paths of one component, which need no resolution.
//!
//! A single name that is neither `.` nor `..` and has no separator is asked of the system itself,
//! without following links. Nothing is resolved, so nothing can lead out of the directory, even if
//! a name is swapped for a link meanwhile. What turns out to need resolving (a link that shall be
//! followed) is left to wasmtime-wasi. The permissions checked are wasmtime-wasi's, before the
//! system is asked; the system's errors come out as themselves.
//!
//! So it is on Unix. Windows takes names apart (`a:b`, `CON`, dots at the end): there no path is
//! one, and all are wasmtime-wasi's.

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{Errno, Filestat};
use crate::descriptor::Dir;
use crate::sys::attributes::Attributes;
use crate::sys::errno::Errno as Os;
use crate::sys::file::{FileType, OFlags};
use crate::sys::name::{self, IS_LINK, TAKES_NAMES};
use crate::sys::object::Object;
use crate::sys::open::{DSYNC, RSYNC};
use crate::sys::time::NewTime;
use std::fs::File;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

/// A directory and a name in it.
#[derive(Clone, Copy)]
pub(crate) struct Single<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) name: &'a str,
}

/// Whether `path` is the name of a directory's entry and nothing else.
pub(crate) fn is_single_name(path: &str) -> bool {
    TAKES_NAMES && !matches!(path, "" | "." | "..") && !path.contains(['/', '\0'])
}

/// `path` below `dir` as a single name, if it is one.
pub(crate) fn single<'a>(dir: &'a Dir, path: &'a str) -> Option<Single<'a>> {
    is_single_name(path).then_some(Single { dir, name: path })
}

fn follows(follow: PathFlags) -> bool {
    follow.contains(PathFlags::SYMLINK_FOLLOW)
}

impl Single<'_> {
    /// The attributes; nothing if they are those of a link that shall be followed, or this system
    /// cannot say them.
    pub(crate) fn stat(&self, follow: PathFlags) -> Result<Option<Filestat>> {
        let Some(found) = Attributes::of_name(self.dir.fd()?, self.name)? else {
            return Ok(None);
        };
        if follows(follow) && found.file_type == FileType::Symlink {
            return Ok(None);
        }
        Ok(Some(convert::filestat_from_attributes(&found)?))
    }

    /// What the link leads to. `perm` for an absolute target, as wasmtime-wasi has it, `ilseq` for
    /// one that is not UTF-8.
    pub(crate) fn readlink(&self) -> Result<String> {
        let target = name::read_link(self.dir.fd()?, self.name)?;
        let target = target.into_string().map_err(|_| Errno::Ilseq)?;
        match target.starts_with('/') {
            true => Err(Errno::Perm.into()),
            false => Ok(target),
        }
    }

    /// Sets the times; false, and nothing done, if a link shall be followed.
    pub(crate) fn set_times(
        &self,
        follow: PathFlags,
        access: NewTime,
        modification: NewTime,
    ) -> Result<bool> {
        self.dir.check_perms()?;
        let dir = self.dir.fd()?;
        if follows(follow) && name::file_type(dir, self.name)? == FileType::Symlink {
            return Ok(false);
        }
        // Should a link have taken its place, the times are the link's: it is not followed.
        name::set_times(dir, self.name, access, modification)?;
        Ok(true)
    }

    pub(crate) fn create_directory(&self) -> Result<()> {
        self.dir.check_perms()?;
        Ok(name::create_directory(self.dir.fd()?, self.name)?)
    }

    pub(crate) fn remove_directory(&self) -> Result<()> {
        self.dir.check_perms()?;
        Ok(name::remove_directory(self.dir.fd()?, self.name)?)
    }

    pub(crate) fn unlink_file(&self) -> Result<()> {
        self.dir.check_perms()?;
        Ok(name::remove_file(self.dir.fd()?, self.name)?)
    }

    /// A link to `target`, which the caller has found to be allowed.
    pub(crate) fn symlink(&self, target: &str) -> Result<()> {
        self.dir.check_perms()?;
        Ok(name::symlink(target, self.dir.fd()?, self.name)?)
    }

    /// Another name for it; of a link too, which is not followed.
    pub(crate) fn link(&self, to: Single<'_>) -> Result<()> {
        self.dir.check_perms()?;
        to.dir.check_perms()?;
        let (from, to) = ((self.dir.fd()?, self.name), (to.dir.fd()?, to.name));
        Ok(name::link(from, to)?)
    }

    /// `perm` between directories of different permissions, and below one that is not to be
    /// changed.
    pub(crate) fn rename(&self, to: Single<'_>) -> Result<()> {
        self.dir.check_perms()?;
        to.dir.check_perms()?;
        let (from, to) = ((self.dir.fd()?, self.name), (to.dir.fd()?, to.name));
        Ok(name::rename(from, to)?)
    }

    /// Opens it; nothing if a link shall be followed.
    ///
    /// The mode is what wasmtime-wasi opens with, with one exception: a file that may have to be
    /// made is not opened for writing unless that is asked for.
    pub(crate) fn open(
        &self,
        follow: PathFlags,
        how: OpenFlags,
        wanted: DescriptorFlags,
    ) -> Result<Option<wasi::Descriptor>> {
        let found = self.open_and_tell(follow, how, wanted)?;
        Ok(found.map(|(found, _)| found))
    }

    /// As [`open`](Self::open); also tells the type, if it had to be asked for: whether it is a
    /// directory.
    pub(crate) fn open_and_tell(
        &self,
        follow: PathFlags,
        how: OpenFlags,
        wanted: DescriptorFlags,
    ) -> Result<Option<(wasi::Descriptor, Option<FileType>)>> {
        let wasi::Descriptor::Dir(below) = &self.dir.inner else {
            return Err(Errno::Notdir.into());
        };
        let asks_write = wanted.contains(DescriptorFlags::WRITE);
        let read = wanted.contains(DescriptorFlags::READ) || !asks_write;
        let write = asks_write || how.contains(OpenFlags::TRUNCATE);
        if below.perms.write_not_permitted() && (write || how.contains(OpenFlags::CREATE)) {
            return Err(Errno::Perm.into());
        }
        // The guest may read and write a terminal. It must not become the host's controlling
        // terminal, because its hang-up would end the host.
        let mut flags = OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        flags |= match (read, write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        let pairs = [
            (OpenFlags::CREATE, OFlags::CREATE),
            (OpenFlags::EXCLUSIVE, OFlags::EXCL),
            (OpenFlags::TRUNCATE, OFlags::TRUNC),
            (OpenFlags::DIRECTORY, OFlags::DIRECTORY),
        ];
        for (asked, flag) in pairs {
            flags.set(flag, how.contains(asked));
        }
        let synchronised = [
            (DescriptorFlags::FILE_INTEGRITY_SYNC, OFlags::SYNC),
            (DescriptorFlags::DATA_INTEGRITY_SYNC, DSYNC),
            (DescriptorFlags::REQUESTED_WRITE_SYNC, RSYNC),
        ];
        for (asked, flag) in synchronised {
            flags |= match wanted.contains(asked) {
                true => flag,
                false => OFlags::empty(),
            };
        }
        // Alone it means nothing to wasmtime-wasi.
        flags.set(
            OFlags::EXCL,
            how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
        );

        let opened = match name::open(self.dir.fd()?, self.name, flags) {
            Err(os) if follows(follow) && self.may_be_link(os, how) => return Ok(None),
            opened => File::from(opened?),
        };
        let mut open_mode = OpenMode::empty();
        open_mode.set(OpenMode::READ, read);
        open_mode.set(OpenMode::WRITE, write);
        // What can be written is no directory.
        let told = match how.contains(OpenFlags::DIRECTORY) || write {
            true => None,
            false => Some(Object::of(&opened)?.file_type()),
        };
        let is_dir = how.contains(OpenFlags::DIRECTORY) || told == Some(FileType::Directory);
        let found = if is_dir {
            wasi::Descriptor::Dir(wasi::Dir::new(opened, below.perms, open_mode, true))
        } else {
            wasi::Descriptor::File(wasi::File::new(opened, below.perms, open_mode, true))
        };
        Ok(Some((found, told)))
    }

    /// Whether an open that failed like this has met a link. Where a directory is asked for the
    /// system says no more than that it is none.
    fn may_be_link(&self, os: Os, how: OpenFlags) -> bool {
        IS_LINK.contains(&os) || (os == Os::NOTDIR && how.contains(OpenFlags::DIRECTORY))
    }
}
