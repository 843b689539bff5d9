//! What `path_open` finds that is neither file nor directory: FIFOs, terminals and other devices that may block.
//!
//! wasmtime-wasi opens everything with a plain `open(2)`. For a FIFO that waits until the other side is opened too, and
//! no descriptor and no lock of ours ends the wait. What does is the other side: [`Watch`](crate::path::fifo_open::Watch).
//!
//! Nothing is asked before an open, so files pay two uncontended locks, two counts, and no system call for it.

use crate::abi::error::Result;
use crate::abi::types::Errno;
use crate::blocking::{EndSignal, Fifo, FifoAccess, Stream as HostStream, StreamKind};
use crate::ctx::Shared;
use crate::descriptor::Dir;
use crate::descriptor::stream::Stream;
use crate::path::operations::Scratch;
use rustix::fd::AsFd as _;
use rustix::fs::{FileType, fstat};
use std::ffi::OsStr;
use std::sync::Arc;
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, File};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, DescriptorType, NewTimestamp, OpenFlags, PathFlags,
};

/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;

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
    /// The sides of a FIFO that wasmtime-wasi's `open_at` opens for these flags.
    fn access(&self) -> FifoAccess {
        let asks_write = self.wanted.contains(DescriptorFlags::WRITE);
        let write = asks_write
            || self.how.contains(OpenFlags::CREATE)
            || self.how.contains(OpenFlags::TRUNCATE);
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
        {
            self.path.push('/');
        }
    }

    /// Opens it.
    ///
    /// With the guest's `NONBLOCK` a FIFO is opened as POSIX has it: for reading at once, for writing with `nxio` if
    /// nobody reads. That flag alone costs a look at the path first.
    pub(crate) fn run(mut self, scratch: &mut Scratch, shared: &Shared) -> Result<Opened> {
        self.ask_for_directory();
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

    fn plain(self, scratch: &mut Scratch) -> Result<Opened> {
        let found = scratch.open_at(self.dir, self.follow, self.path, self.how, self.wanted);
        found.map(Opened::Plain)
    }

    /// The FIFO there, if it is one that a plain open would open.
    fn fifo(&self, scratch: &mut Scratch) -> Result<Option<Fifo>> {
        let synchronised = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        // Those flags fail, which the plain open will say.
        if self.wanted.intersects(synchronised) || self.how.contains(OpenFlags::DIRECTORY) {
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
    (access, modification): (NewTimestamp, NewTimestamp),
    shared: &Shared,
) -> Result<()> {
    if !follow.contains(PathFlags::SYMLINK_FOLLOW) {
        return scratch.set_times_at(dir, follow, path, access, modification);
    }
    // What cannot be looked for here is for the call itself to report.
    if let Ok(Some((_, name))) = find(scratch, dir, follow, path.clone()) {
        return scratch.set_times_at(dir, PathFlags::empty(), name, access, modification);
    }
    let (watch, fs) = scratch.watch_and_fs();
    watch.enter((dir, follow, &path), FifoAccess::Write, fs, shared)?;
    let set = scratch.set_times_at(dir, follow, path, access, modification);
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
