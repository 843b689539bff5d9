//! What `path_open` finds that is neither file nor directory: FIFOs, terminals and other devices that may block.
//!
//! wasmtime-wasi opens everything with a plain `open(2)`. For a FIFO that waits until the other side is opened too, and
//! no descriptor and no lock of ours ends the wait. What does is the other side. So a thread notes what it is about to
//! open ([`Watch`]); when the signal is raised while it is in there, a helper thread asks wasmtime-wasi what lies at
//! that path and, if it is a FIFO, is the other side until the open has returned.
//!
//! Nothing is asked before an open, so files pay two uncontended locks and no system call for it.
//!
//! Not freed are: a FIFO that was renamed or unlinked while the thread waited in its open, one of which this process may
//! open one side only and that the wrong one, and anything outside Linux (there is no `O_PATH`). Such a thread
//! stays until a real peer comes.

use crate::blocking::{EndSignal, Fifo, FifoAccess, Hook, Stream as HostStream, StreamKind};
use crate::descriptor::Dir;
use crate::error::Result;
use crate::preview2::Scratch;
use crate::stream::Stream;
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{FileType, fstat};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem::{Descriptor, File, WasiFilesystemCtx};
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

/// The open a store's thread is in, for others to see.
#[derive(Default)]
pub(crate) struct Watch {
    slot: Arc<Mutex<Slot>>,
    /// Made by the first open, so that a store that opens nothing costs nothing.
    hook: Option<Hook>,
}

#[derive(Default)]
struct Slot {
    pending: Option<Pending>,
    /// What is pending. Its allocation is used again by the next open.
    path: String,
    /// The other side, held for as long as `pending` is there.
    freed: Option<OwnedFd>,
}

#[derive(Clone)]
struct Pending {
    dir: Descriptor,
    follow: PathFlags,
    access: FifoAccess,
}

fn lock(slot: &Mutex<Slot>) -> MutexGuard<'_, Slot> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    /// Notes what is about to be opened, and for what. From here to `leave`, raising `end` frees the open.
    fn enter(
        &mut self,
        (dir, follow, path): (&Dir, PathFlags, &String),
        access: FifoAccess,
        fs: &WasiFilesystemCtx,
        end: &EndSignal,
    ) -> Result<()> {
        if self.hook.is_none() {
            let (slot, fs) = (Arc::clone(&self.slot), fs.clone());
            self.hook = Some(end.on_raise(move || free(slot, fs))?);
        }
        {
            let mut slot = lock(&self.slot);
            slot.path.clone_from(path);
            slot.pending = Some(Pending {
                dir: dir.inner.clone(),
                follow,
                access,
            });
        }
        // The hook locks the slot after the signal is raised: it has seen what was just noted, or else this sees
        // the signal.
        if end.is_raised() {
            self.leave();
            end.check()?;
        }
        Ok(())
    }

    fn leave(&self) {
        let mut slot = lock(&self.slot);
        let left = (slot.pending.take(), slot.freed.take());
        // Closing what was held may take a while.
        drop(slot);
        drop(left);
    }
}

/// Frees the open noted in `slot`, if there is one. Looking a path up may wait for a file system, so it is done on a
/// thread of its own and not on the one that raises the signal.
fn free(slot: Arc<Mutex<Slot>>, fs: WasiFilesystemCtx) {
    let (pending, path) = {
        let slot = lock(&slot);
        let Some(pending) = slot.pending.clone() else {
            return;
        };
        (pending, slot.path.clone())
    };
    let look = move || {
        let dir = Dir::unnamed(pending.dir);
        let mut scratch = Scratch::new(fs);
        let Ok(Some((fifo, _))) = find(&mut scratch, &dir, pending.follow, path) else {
            return;
        };
        let Ok(side) = fifo.other_side(pending.access) else {
            return;
        };
        let mut slot = lock(&slot);
        if slot.pending.is_some() {
            slot.freed = Some(side);
        }
    };
    // Without a thread to do it the open stays where it is, like one of a FIFO that cannot be found.
    let _ = std::thread::Builder::new()
        .name("wasi-free-open".to_owned())
        .spawn(look);
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
    pub(crate) fn run(mut self, scratch: &mut Scratch, end: &EndSignal) -> Result<Opened> {
        self.ask_for_directory();
        let waits = self.may_wait();
        if waits
            && self.nonblock
            && !self.how.contains(OpenFlags::DIRECTORY)
            && let Some(fifo) = self.nonblocking_fifo(scratch, end)?
        {
            return Ok(Opened::Fifo(fifo));
        }
        if waits {
            let (watch, fs) = scratch.watch_and_fs();
            let place = (self.dir, self.follow, &self.path);
            watch.enter(place, self.access(), fs, end)?;
        }
        let found = scratch.open_at(self.dir, self.follow, self.path, self.how, self.wanted);
        if waits {
            scratch.watch.leave();
            // What the helper let through was no real peer.
            end.check()?;
        }
        Ok(Opened::Plain(found?))
    }

    fn nonblocking_fifo(&self, scratch: &mut Scratch, end: &EndSignal) -> Result<Option<Stream>> {
        let synchronised = DescriptorFlags::FILE_INTEGRITY_SYNC
            | DescriptorFlags::DATA_INTEGRITY_SYNC
            | DescriptorFlags::REQUESTED_WRITE_SYNC;
        // Those flags fail, which the plain open will say.
        if self.wanted.intersects(synchronised) {
            return Ok(None);
        }
        let Some((fifo, _)) = find(scratch, self.dir, self.follow, self.path.clone())? else {
            return Ok(None);
        };
        let access = self.access();
        if access == FifoAccess::Write {
            self.dir.check_perms()?;
        }
        let stream = fifo.open(access, true, end)?;
        let (read, write) = (access == FifoAccess::Read, access == FifoAccess::Write);
        let perms = match &self.dir.inner {
            Descriptor::Dir(dir) => dir.perms,
            Descriptor::File(_) => return Ok(None),
        };
        Ok(Some(
            Stream::duplex(stream, read, write).opened_below(perms),
        ))
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
    end: &EndSignal,
) -> Result<()> {
    if !follow.contains(PathFlags::SYMLINK_FOLLOW) {
        return scratch.set_times_at(dir, follow, path, access, modification);
    }
    // What cannot be looked for here is for the call itself to report.
    if let Ok(Some((_, name))) = find(scratch, dir, follow, path.clone()) {
        return scratch.set_times_at(dir, PathFlags::empty(), name, access, modification);
    }
    let (watch, fs) = scratch.watch_and_fs();
    watch.enter((dir, follow, &path), FifoAccess::Write, fs, end)?;
    let set = scratch.set_times_at(dir, follow, path, access, modification);
    scratch.watch.leave();
    end.check()?;
    set
}

/// The FIFO at a path, and the path without links at its end. Its directory, and the target of each link, are
/// wasmtime-wasi's to resolve.
fn find(
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
