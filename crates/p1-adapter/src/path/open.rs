//! What `path_open` finds that is neither file nor directory: FIFOs, terminals and other devices that may block.
//!
//! wasmtime-wasi opens everything with a plain `open(2)`. For a FIFO that waits until the other side is opened too, and
//! no descriptor and no lock of ours ends the wait. What does is the other side: [`Watch`](crate::path::fifo_open::Watch).
//!
//! Nothing is asked before an open, so files pay two uncontended locks, two counts, and no system call for it.

use crate::abi::convert::NewTime;
use crate::abi::error::{Error, Result};
use crate::abi::types::Errno;
use crate::blocking::{EndSignal, Fifo, FifoAccess, Stream as HostStream, StreamKind};
use crate::ctx::Shared;
use crate::descriptor::Dir;
use crate::descriptor::stream::Stream;
use crate::path::operations::Scratch;
use crate::path::single::{Single, is_single_name, single};
use crate::path::slashes;
use rustix::fd::AsFd as _;
use rustix::fs::{AtFlags, FileType, fstat};
use std::ffi::OsStr;
use std::sync::Arc;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, File};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, OpenFlags, PathFlags,
};

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

/// The longest path on Linux, with the NUL behind it.
const PATH_MAX: usize = 4096;

/// Whether a flag is among them that wasmtime-wasi does not open files with.
fn synchronised(wanted: DescriptorFlags) -> bool {
    let all = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    wanted.intersects(all)
}

/// What is to be opened, and how.
pub(crate) struct Open<'a> {
    pub(crate) dir: &'a Dir,
    pub(crate) follow: PathFlags,
    pub(crate) path: String,
    pub(crate) how: OpenFlags,
    pub(crate) wanted: DescriptorFlags,
    pub(crate) nonblock: bool,
}

/// What `path_open` got.
pub(crate) enum Opened {
    Plain(Descriptor),
    Fifo(Stream),
}

impl Open<'_> {
    /// The sides of a FIFO that are opened for these flags: those asked for, and that for writing where it is to be cut.
    fn access(&self) -> FifoAccess {
        let asks_write = self.wanted.contains(DescriptorFlags::WRITE);
        let write = asks_write || self.how.contains(OpenFlags::TRUNCATE);
        let read = self.wanted.contains(DescriptorFlags::READ) || !asks_write;
        match (read, write) {
            (true, true) => FifoAccess::ReadWrite,
            (false, true) => FifoAccess::Write,
            (_, false) => FifoAccess::Read,
        }
    }

    /// Whether the open would wait if this were a FIFO: both sides at once never do, and what is new is none.
    fn may_wait(&self) -> bool {
        self.access() != FifoAccess::ReadWrite
            && !self.how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE)
    }

    /// wasmtime-wasi opens first and looks afterwards whether it is a directory, so that one would wait for the other
    /// side of a FIFO only to be told that it is none. A slash behind the name has the system refuse it. (But not where
    /// links are not to be followed: a slash would follow one.)
    fn ask_for_directory(&mut self) {
        if self.how == OpenFlags::DIRECTORY
            && self.follow.contains(PathFlags::SYMLINK_FOLLOW)
            && !self.path.is_empty()
            // The longest path there is has no room for one.
            && self.path.len() < PATH_MAX - 1
        {
            self.path.push('/');
        }
    }

    /// Opens it.
    ///
    /// With the guest's `NONBLOCK` a FIFO is opened as POSIX has it: for reading at once, for writing with `nxio` if
    /// nobody reads. That flag alone costs a look at the path first.
    pub(crate) fn run(mut self, scratch: &mut Scratch, shared: &Shared) -> Result<Opened> {
        if self.is_single() && !self.may_wait() {
            return self.plain(scratch);
        }
        if !self.is_single() {
            self.ask_for_directory();
        }
        if !self.may_wait() {
            return self.plain(scratch);
        }
        if self.nonblock
            && let Some(fifo) = self.fifo(scratch)?
        {
            return Ok(Opened::Fifo(self.open_fifo(&fifo, true, &shared.end)?));
        }
        let (watch, fs) = scratch.watch_and_fs();
        let place = (self.dir, self.follow, &self.path);
        let moving = watch.enter(place, self.access(), fs, shared)?;
        // Somebody who may be moving what this is about to open has not seen that it is. Through a descriptor of the
        // object the names do not matter.
        let fifo = match moving {
            // What cannot be looked for is for the open itself to report.
            true => self.fifo(scratch).unwrap_or(None),
            false => None,
        };
        let found = match fifo {
            Some(fifo) => {
                let opened = self.open_fifo(&fifo, false, &shared.end);
                opened.map(Opened::Fifo)
            }
            None => self.plain(scratch),
        };
        scratch.watch.leave(shared);
        // What the helper let through was no real peer.
        shared.end.check()?;
        found
    }

    /// Whether the system opens it as what it is named: a single component, and flags that wasmtime-wasi takes.
    fn is_single(&self) -> bool {
        let only = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
        is_single_name(&self.path)
            && !synchronised(self.wanted)
            && !(self.how.contains(OpenFlags::DIRECTORY) && self.how.intersects(only))
    }

    fn plain(mut self, scratch: &mut Scratch) -> Result<Opened> {
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
        // wasmtime-wasi would open what may have to be made for writing: what is there already is opened as asked.
        if self.how == OpenFlags::CREATE && !self.wanted.contains(DescriptorFlags::WRITE) {
            self.dir.check_perms()?;
            match self.open(scratch, OpenFlags::empty()) {
                Err(Error::Errno(Errno::Noent)) => {}
                Ok(Descriptor::Dir(_)) => return Err(Errno::Isdir.into()),
                found => return found.map(Opened::Plain),
            }
        }
        self.open(scratch, self.how).map(Opened::Plain)
    }

    /// Opens it through wasmtime-wasi. What fails for a reason that wasmtime-wasi has no name for is opened once more by the
    /// system, as a name in its directory, which says why.
    fn open(&self, scratch: &mut Scratch, how: OpenFlags) -> Result<Descriptor> {
        let path = self.path.clone();
        let failed = match scratch.open_at(self.dir, self.follow, path, how, self.wanted) {
            Err(Error::Errno(Errno::Io)) => Errno::Io,
            // No directory, says Linux of a link that is not to be followed and shall be one.
            Err(Error::Errno(Errno::Loop))
                if how.contains(OpenFlags::DIRECTORY)
                    && !self.follow.contains(PathFlags::SYMLINK_FOLLOW) =>
            {
                Errno::Loop
            }
            opened => return opened,
        };
        let Some((parent, name)) = self
            .path
            .rsplit_once('/')
            .filter(|(_, name)| is_single_name(name))
        else {
            return Err(failed.into());
        };
        let (read, directory) = (DescriptorFlags::READ, OpenFlags::DIRECTORY);
        let parent = format!("{parent}/");
        let parent = scratch.open_at(self.dir, PathFlags::SYMLINK_FOLLOW, parent, directory, read);
        let dir = Dir::unnamed(parent.map_err(|_| failed)?);
        let single = Single { dir: &dir, name };
        single
            .open(self.follow, how, self.wanted)?
            .ok_or(failed.into())
    }

    /// The FIFO there, if it is one that a plain open would open.
    fn fifo(&self, scratch: &mut Scratch) -> Result<Option<Fifo>> {
        // Those flags fail, which the plain open will say.
        if synchronised(self.wanted) || self.how.contains(OpenFlags::DIRECTORY) {
            return Ok(None);
        }
        let found = find(scratch, self.dir, self.follow, self.path.clone())?;
        Ok(found.map(|(fifo, _)| fifo))
    }

    fn open_fifo(&self, fifo: &Fifo, nonblock: bool, end: &EndSignal) -> Result<Stream> {
        let access = self.access();
        if access == FifoAccess::Write {
            self.dir.check_perms()?;
        }
        let stream = fifo.open(access, nonblock, end)?;
        let (read, write) = (access == FifoAccess::Read, access == FifoAccess::Write);
        let perms = match &self.dir.inner {
            Descriptor::Dir(dir) => dir.perms,
            Descriptor::File(_) => return Err(Errno::Notdir.into()),
        };
        Ok(Stream::duplex(stream, read, write).opened_below(perms))
    }
}

/// Sets the times of what lies at a path.
///
/// Where links are followed wasmtime-wasi opens what it finds, for writing, and waits in that if it is a FIFO. The times
/// of one are therefore set by its own name, where no link is followed and nothing is opened. Should one take the place of what
/// was looked at, the signal frees the open.
pub(crate) fn set_times(
    scratch: &mut Scratch,
    dir: &Dir,
    follow: PathFlags,
    path: String,
    (access, modification): (NewTime, NewTime),
    shared: &Shared,
) -> Result<()> {
    if let Some(single) = single(dir, &path)
        && single.set_times(follow, access, modification)?
    {
        return Ok(());
    }
    // What cannot be looked for here is for wasmtime-wasi to report.
    if let Ok(Some((parent, name))) = last_name(scratch, dir, follow, &path) {
        let parent = parent.map(Dir::unnamed);
        let dir = parent.as_ref().unwrap_or(dir);
        let name = Single { dir, name: &name };
        return name
            .set_times(PathFlags::empty(), access, modification)
            .map(drop);
    }
    if !follow.contains(PathFlags::SYMLINK_FOLLOW) {
        return scratch.set_times_at(dir, follow, path, access.to_p2(), modification.to_p2());
    }
    let (watch, fs) = scratch.watch_and_fs();
    watch.enter((dir, follow, &path), FifoAccess::Write, fs, shared)?;
    let set = scratch.set_times_at(dir, follow, path, access.to_p2(), modification.to_p2());
    scratch.watch.leave(shared);
    shared.end.check()?;
    set
}

/// The FIFO at a path, and the path without links at its end. Its directory, and the target of each link, are
/// wasmtime-wasi's to resolve.
pub(crate) fn find(
    scratch: &mut Scratch,
    dir: &Dir,
    follow: PathFlags,
    mut path: String,
) -> Result<Option<(Fifo, String)>> {
    match scratch.type_at(dir, follow, path.clone()) {
        // wasmtime-wasi has a name for a FIFO and, as of 48, uses it nowhere on Unix: it says "unknown".
        Ok(DescriptorType::Fifo | DescriptorType::Unknown) => {}
        _ => return Ok(None),
    }
    for _ in 0..MAX_LINKS {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if matches!(name, "" | "." | "..") {
            return Ok(None);
        }
        let opened;
        let directory = match parent {
            "" => dir.fd()?,
            parent => {
                opened = scratch.open_at(
                    dir,
                    PathFlags::SYMLINK_FOLLOW,
                    parent.to_owned(),
                    OpenFlags::DIRECTORY,
                    DescriptorFlags::READ,
                )?;
                match &opened {
                    Descriptor::Dir(dir) => dir.dir.as_fd(),
                    Descriptor::File(_) => return Ok(None),
                }
            }
        };
        if let Ok(Some(fifo)) = Fifo::find(directory, OsStr::new(name)) {
            return Ok(Some((fifo, path)));
        }
        let prefix = path.len() - name.len();
        let Ok(target) = scratch.readlink_at(dir, path.clone()) else {
            return Ok(None);
        };
        path.truncate(prefix);
        path.push_str(&target);
    }
    Ok(None)
}

/// The directory and the name in it that `path` leads to, where links at its end are followed if that is asked for or a
/// slash is behind it; no directory if it is `dir` itself. Nothing for what has no name of its own (`.`), for a slash behind
/// what is no directory, and for a link that is not relative. The way to the directory is wasmtime-wasi's to resolve.
fn last_name(
    scratch: &mut Scratch,
    dir: &Dir,
    follow: PathFlags,
    path: &str,
) -> Result<Option<(Option<Descriptor>, String)>> {
    let (path, slashed) = slashes::without(path);
    let follow = slashed || follow.contains(PathFlags::SYMLINK_FOLLOW);
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
        if !is_single_name(name) || path.starts_with('/') {
            return Ok(None);
        }
        let parent = match parent {
            "" => None,
            parent => Some(Dir::unnamed(scratch.open_at(
                dir,
                PathFlags::SYMLINK_FOLLOW,
                parent.to_owned(),
                OpenFlags::DIRECTORY,
                DescriptorFlags::READ,
            )?)),
        };
        let within = parent.as_ref().unwrap_or(dir).fd()?;
        let stat = rustix::fs::statat(within, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink if follow => {
                let prefix = path.len() - name.len();
                let target = scratch.readlink_at(dir, path.clone())?;
                if target.starts_with('/') {
                    return Ok(None);
                }
                path.truncate(prefix);
                path.push_str(&target);
            }
            found if slashed && found != FileType::Directory => return Ok(None),
            _ => return Ok(Some((parent.map(|dir| dir.inner), name.to_owned()))),
        }
    }
    Ok(None)
}

/// Whether something of this type may be a stream; otherwise it is a file, for certain.
pub(crate) fn may_be_stream(found: FileType) -> bool {
    !matches!(
        found,
        FileType::RegularFile | FileType::Directory | FileType::BlockDevice
    )
}

/// A FIFO, terminal or other device that has been opened as a file, as the stream it is; `Err` says of what type it is if it
/// is better off as a file: files, and memory devices (`/dev/null`, `/dev/zero`), which never wait and have a position.
///
/// The description is this process's alone, and only used through the stream from now on, so it is made non-blocking.
pub(crate) fn as_stream(file: &File) -> Result<Result<Stream, FileType>> {
    let found = FileType::from_raw_mode(fstat(&file.file)?.st_mode);
    if !may_be_stream(found) || StreamKind::of(&file.file)? == StreamKind::Memory {
        return Ok(Err(found));
    }
    let (read, write) = (
        file.open_mode.contains(OpenMode::READ),
        file.open_mode.contains(OpenMode::WRITE) && !file.perms.write_not_permitted(),
    );
    let host = HostStream::of_file(Arc::clone(&file.file))?;
    let stream = Stream::duplex(host, read, write);
    Ok(Ok(stream.opened_below(file.perms)))
}
