//! An open file or folder that the host makes up: a file has a position of this descriptor's own, a
//! folder a listing.

use super::{Descriptor, What};
use crate::abi::errno::of_io_error;
use crate::abi::error::Result;
use crate::abi::types::{Errno, Fdflags, Filestat, Rights, Whence};
use crate::blocking::EndSignal;
use crate::budget::{Counting, MemoryBudget, TakenBytes};
use crate::guest::buffers::GuestBufs;
use crate::lock::lock;
use crate::made::below::{Below, OpenedMade};
use crate::made::{MadeEntry, MadeFile, MadeNode, stat};
use crate::sys::time::NewTime;
use std::io;
use std::sync::{Arc, Mutex};
use wasmtime_wasi::{FsPerms, OpenMode};

/// How many bytes one call transfers. They are copied outside of the lock. The rest is left to the
/// guest's next call.
const TRANSFER: usize = 1 << 20;

/// An open file that the host makes up.
pub(crate) struct OpenMadeFile {
    file: Arc<dyn MadeFile>,
    perms: FsPerms,
    pub(super) mode: OpenMode,
    /// Where the next read or write begins. Held while the embedder's code reads or writes.
    position: Mutex<u64>,
}

/// An open folder that the host makes up.
pub(crate) struct OpenMadeFolder {
    pub(crate) below: Below,
    /// The guest's name for it, if it is a preopen.
    pub(crate) preopen: Option<Box<str>>,
    pub(super) mode: OpenMode,
    /// What the last listing has found when it began.
    listing: Mutex<Arc<MadeListing>>,
}

/// A listing, and what it has of a budget for as long as it is kept.
#[derive(Default)]
pub(crate) struct MadeListing {
    pub(crate) entries: Vec<MadeEntry>,
    _taken: Option<TakenBytes>,
}

/// Room for what a read may give.
fn room(bufs: &GuestBufs<'_>) -> Vec<u8> {
    vec![0; bufs.len().min(TRANSFER)]
}

/// `inval` for what would end beyond 2^63 - 1, as Linux has it.
fn check_end(bufs: &GuestBufs<'_>, offset: u64) -> Result<()> {
    let end = offset.checked_add(bufs.len() as u64);
    match end.map(i64::try_from) {
        Some(Ok(_)) => Ok(()),
        _ => Err(Errno::Inval.into()),
    }
}

/// What is to be written.
fn contents(bufs: &GuestBufs<'_>) -> Vec<u8> {
    bufs.copy_out(&(0..bufs.len().min(TRANSFER)))
}

fn done<T>(result: io::Result<T>) -> Result<T> {
    result.map_err(|error| of_io_error(&error).into())
}

impl Descriptor {
    /// As `opened`, for what lies in a folder that the host makes up. A file that was to be cut and
    /// not to be written is not written.
    pub(crate) fn opened_made(
        found: OpenedMade,
        flags: Fdflags,
        wanted: Rights,
        below: &Below,
        parent: &Self,
    ) -> Self {
        let write = wanted.contains(Rights::FD_WRITE);
        let mut mode = OpenMode::empty();
        mode.set(OpenMode::READ, wanted.contains(Rights::FD_READ) || !write);
        mode.set(OpenMode::WRITE, write);
        let perms = below.perms;
        match found {
            OpenedMade::File(file) => {
                let file = OpenMadeFile::new(file, perms, mode);
                let flags = flags & (Fdflags::APPEND | Fdflags::NONBLOCK);
                Self::with(What::MadeFile(Box::new(file)), flags)
            }
            OpenedMade::Folder(folder) => {
                let folder = OpenMadeFolder::new(Below { folder, perms }, None, mode);
                Self::with(What::MadeFolder(Box::new(folder)), Fdflags::empty())
            }
        }
        .below(parent)
    }

    /// A folder that the host makes up; with a name, a preopen.
    pub(crate) fn made_folder(below: Below, name: Option<&str>) -> Self {
        let folder = OpenMadeFolder::new(below, name, OpenMode::READ | OpenMode::WRITE);
        Self::with(What::MadeFolder(Box::new(folder)), Fdflags::empty())
    }

    /// A file that the host makes up.
    pub(crate) fn made_file(file: OpenMadeFile) -> Self {
        Self::with(What::MadeFile(Box::new(file)), Fdflags::empty())
    }

    /// The file, if it is one that the host makes up and may be positioned.
    pub(crate) fn seekable_made(&self, rights: Rights) -> Result<Option<&OpenMadeFile>> {
        match &self.what {
            What::MadeFile(file) => {
                self.allow(rights)?;
                Ok(Some(file))
            }
            _ => Ok(None),
        }
    }
}

impl OpenMadeFile {
    pub(crate) fn new(file: Arc<dyn MadeFile>, perms: FsPerms, mode: OpenMode) -> Self {
        Self {
            file,
            perms,
            mode,
            position: Mutex::new(0),
        }
    }

    pub(crate) fn check_read(&self) -> Result<()> {
        match self.mode.contains(OpenMode::READ) {
            true => Ok(()),
            false => Err(Errno::Badf.into()),
        }
    }

    pub(crate) fn check_write(&self) -> Result<()> {
        match self.mode.contains(OpenMode::WRITE) {
            true => self.check_perms(),
            false => Err(Errno::Badf.into()),
        }
    }

    pub(crate) fn check_perms(&self) -> Result<()> {
        match self.perms.write_not_permitted() {
            true => Err(Errno::Perm.into()),
            false => Ok(()),
        }
    }

    /// Reads at the descriptor's position, which moves on.
    pub(crate) fn read(&self, bufs: &GuestBufs<'_>, end: &EndSignal) -> Result<usize> {
        let mut bytes = room(bufs);
        let mut position = lock(&self.position);
        check_end(bufs, *position)?;
        let count = self.fetch(&mut bytes, *position, end)?;
        *position += count as u64;
        drop(position);
        bufs.fill(&bytes[..count]);
        Ok(count)
    }

    pub(crate) fn read_at(
        &self,
        bufs: &GuestBufs<'_>,
        offset: u64,
        end: &EndSignal,
    ) -> Result<usize> {
        check_end(bufs, offset)?;
        let mut bytes = room(bufs);
        let count = self.fetch(&mut bytes, offset, end)?;
        bufs.fill(&bytes[..count]);
        Ok(count)
    }

    /// Reads until `to` is full or the file ends; what was read before an error is read.
    fn fetch(&self, to: &mut [u8], offset: u64, end: &EndSignal) -> Result<usize> {
        let mut count = 0;
        while count < to.len() {
            let Some(at) = offset.checked_add(count as u64) else {
                break;
            };
            end.check()?;
            let rest = &mut to[count..];
            let room = rest.len();
            match self.file.read_at(rest, at) {
                Ok(0) => break,
                // No more than there was room for, whatever the embedder's code says.
                Ok(more) => count += more.min(room),
                Err(_) if count > 0 => break,
                Err(error) => return Err(of_io_error(&error).into()),
            }
        }
        Ok(count)
    }

    /// Writes at the descriptor's position, which moves on, or at the end.
    pub(crate) fn write(
        &self,
        bufs: &GuestBufs<'_>,
        append: bool,
        end: &EndSignal,
    ) -> Result<usize> {
        let bytes = contents(bufs);
        let mut position = lock(&self.position);
        if !append {
            check_end(bufs, *position)?;
        }
        let (count, at) = self.put(&bytes, (!append).then_some(*position), end)?;
        if count > 0 {
            *position = at;
        }
        Ok(count)
    }

    /// Writes at `offset`; with `append` at the end, whatever it is.
    pub(crate) fn write_at(
        &self,
        bufs: &GuestBufs<'_>,
        offset: u64,
        append: bool,
        end: &EndSignal,
    ) -> Result<usize> {
        if !append {
            check_end(bufs, offset)?;
        }
        let bytes = contents(bufs);
        Ok(self.put(&bytes, (!append).then_some(offset), end)?.0)
    }

    /// Writes at `offset`, or at the end; how many bytes, and where they end.
    fn put(&self, bytes: &[u8], offset: Option<u64>, end: &EndSignal) -> Result<(usize, u64)> {
        end.check()?;
        if bytes.is_empty() {
            return Ok((0, 0));
        }
        let Some(offset) = offset else {
            return Ok((bytes.len(), done(self.file.append(bytes))?));
        };
        let count = done(self.file.write_at(bytes, offset))?.min(bytes.len());
        Ok((count, offset.saturating_add(count as u64)))
    }

    pub(crate) fn tell(&self) -> u64 {
        *lock(&self.position)
    }

    /// Moves the position; where it is then. `inval` before the beginning and beyond 2^63 - 1.
    pub(crate) fn seek(&self, offset: i64, whence: Whence) -> Result<u64> {
        let mut position = lock(&self.position);
        let from = match whence {
            Whence::Set => 0,
            Whence::Cur => *position,
            Whence::End => self.size()?,
        };
        let to = from.checked_add_signed(offset);
        let to = to.filter(|to| i64::try_from(*to).is_ok());
        *position = to.ok_or(Errno::Inval)?;
        Ok(*position)
    }

    fn size(&self) -> Result<u64> {
        Ok(done(self.file.metadata())?.size)
    }

    pub(crate) fn bytes_left(&self) -> Result<u64> {
        Ok(self.size()?.saturating_sub(self.tell()))
    }

    /// As `posix_fallocate`.
    pub(crate) fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.check_write()?;
        let end = offset.checked_add(len);
        match end.filter(|end| i64::try_from(*end).is_ok()) {
            _ if len == 0 || i64::try_from(offset).is_err() => Err(Errno::Inval.into()),
            None => Err(Errno::Fbig.into()),
            Some(end) if end > self.size()? => done(self.file.set_size(end)),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn set_size(&self, size: u64) -> Result<()> {
        self.check_perms()?;
        if !self.mode.contains(OpenMode::WRITE) || i64::try_from(size).is_err() {
            return Err(Errno::Inval.into());
        }
        done(self.file.set_size(size))
    }

    pub(crate) fn set_times(&self, access: NewTime, modification: NewTime) -> Result<()> {
        self.check_perms()?;
        done(
            self.file
                .set_times(stat::time(access), stat::time(modification)),
        )
    }

    pub(crate) fn sync(&self) -> Result<()> {
        done(self.file.sync())
    }

    pub(crate) fn filestat(&self) -> Result<Filestat> {
        done(stat::filestat(&MadeNode::File(Arc::clone(&self.file))))
    }
}

impl OpenMadeFolder {
    pub(crate) fn new(below: Below, preopen: Option<&str>, mode: OpenMode) -> Self {
        Self {
            below,
            preopen: preopen.map(Box::from),
            mode,
            listing: Mutex::default(),
        }
    }

    /// The listing that a cookie counts in: a new one from the beginning on. `nomem` where `budget`
    /// has not enough left to keep it.
    pub(crate) fn listing(
        &self,
        cookie: u64,
        budget: Option<&Arc<dyn MemoryBudget>>,
    ) -> Result<Arc<MadeListing>> {
        if cookie == 0 {
            let entries = done(self.below.folder.list())?;
            let mut counting = Counting::of(budget);
            let bytes = |entry: &MadeEntry| size_of::<MadeEntry>() + entry.name.len() + 16;
            if !entries.iter().all(|entry| counting.add(bytes(entry))) {
                return Err(Errno::Nomem.into());
            }
            let found = Arc::new(MadeListing {
                entries,
                _taken: counting.done(),
            });
            // What was there is dropped behind the lock.
            let _before = std::mem::replace(&mut *lock(&self.listing), found);
        }
        Ok(Arc::clone(&lock(&self.listing)))
    }

    pub(crate) fn set_times(&self, access: NewTime, modification: NewTime) -> Result<()> {
        self.below.check_perms()?;
        done(
            self.below
                .folder
                .set_times(stat::time(access), stat::time(modification)),
        )
    }

    pub(crate) fn filestat(&self) -> Result<Filestat> {
        let folder = Arc::clone(&self.below.folder);
        done(stat::filestat(&MadeNode::Folder(folder)))
    }
}
