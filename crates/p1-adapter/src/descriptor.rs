//! What a descriptor number stands for, and what it may do.
//!
//! Everything that cannot change while a descriptor is open (its kind, its permissions, the mode it was opened with) is
//! plain data, read without a lock. What the guest may change are four words: flags and dropped rights, each an atomic.
//! The one lock here orders changes of `O_APPEND`, which lives in two places (the operating system's flag and our
//! record of it).

use crate::abi::types::{Errno, Fdflags, Filetype, Oflags, Rights};
use crate::error::Result;
use crate::special;
use crate::stream::Stream;
use rustix::fs::OFlags;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;

/// One open descriptor. Shared by every thread that uses its number.
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    /// Rights given up with `fd_fdstat_set_rights`: base and inheriting. A right that is not in here is not checked by
    /// us, but by the mode the file was opened with and the permissions of its preopen.
    dropped_base: AtomicU64,
    dropped_inheriting: AtomicU64,
    nonblock: AtomicBool,
    append: AtomicBool,
    change_flags: Mutex<()>,
}

/// The kinds of descriptor.
pub(crate) enum Kind {
    /// A byte stream: standard input, output and error, and what an embedder pushes.
    Stream(Stream),
    File(File),
    Dir(Dir),
}

/// An open file (or device, or FIFO: whatever `path_open` found that is not a directory).
pub(crate) struct File {
    pub(crate) inner: wasi::File,
    /// The file type, asked for when first needed. It cannot change while the file is open.
    file_type: AtomicU8,
}

/// An open directory.
pub(crate) struct Dir {
    pub(crate) inner: wasi::Descriptor,
    /// The guest's name for it, if it is a preopen.
    pub(crate) preopen: Option<Box<str>>,
}

const UNASKED: u8 = u8::MAX;

impl File {
    pub(crate) fn new(inner: wasi::File) -> Self {
        Self {
            inner,
            file_type: AtomicU8::new(UNASKED),
        }
    }

    /// With its type, which then need not be asked for.
    pub(crate) fn of_type(mut self, found: rustix::fs::FileType) -> Self {
        *self.file_type.get_mut() = crate::convert::file_type(found) as u8;
        self
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.inner.file.as_fd()
    }

    /// Fails with `badf`, as the operating system does, unless the file was opened for reading.
    pub(crate) fn check_read(&self) -> Result<()> {
        if !self.inner.open_mode.contains(OpenMode::READ) {
            return Err(Errno::Badf.into());
        }
        Ok(())
    }

    /// The check of a data write: opened for writing (`badf`), below a preopen that may be written (`perm`).
    pub(crate) fn check_write(&self) -> Result<()> {
        if !self.inner.open_mode.contains(OpenMode::WRITE) {
            return Err(Errno::Badf.into());
        }
        self.check_perms()
    }

    /// As the operating system has it: a file that was not opened for writing is not cut (`inval`).
    pub(crate) fn check_cut(&self) -> Result<()> {
        self.check_perms()?;
        if !self.inner.open_mode.contains(OpenMode::WRITE) {
            return Err(Errno::Inval.into());
        }
        Ok(())
    }

    /// The check of any other change: below a preopen that may be written (`perm`).
    pub(crate) fn check_perms(&self) -> Result<()> {
        if self.inner.perms.write_not_permitted() {
            return Err(Errno::Perm.into());
        }
        Ok(())
    }

    /// How many bytes lie between the cursor and the end of the file.
    pub(crate) fn bytes_left(&self) -> Result<u64, Errno> {
        let size = rustix::fs::fstat(self.fd())
            .map_err(crate::convert::errno)?
            .st_size;
        // What has no position (a FIFO, a terminal) has no bytes one could count.
        let at = rustix::fs::tell(self.fd()).unwrap_or(0);
        Ok(u64::try_from(size).unwrap_or(0).saturating_sub(at))
    }

    /// The file's type: one `fstat` per open file, at most.
    pub(crate) fn file_type(&self) -> Result<Filetype> {
        if let Ok(known) = Filetype::try_from(self.file_type.load(Ordering::Relaxed)) {
            return Ok(known);
        }
        let stat = rustix::fs::fstat(self.fd())?;
        let found = crate::convert::file_type(rustix::fs::FileType::from_raw_mode(stat.st_mode));
        self.file_type.store(found as u8, Ordering::Relaxed);
        Ok(found)
    }
}

impl Dir {
    /// A directory that is no preopen.
    pub(crate) fn unnamed(inner: wasi::Descriptor) -> Self {
        Self {
            inner,
            preopen: None,
        }
    }

    pub(crate) fn fd(&self) -> Result<BorrowedFd<'_>> {
        match &self.inner {
            wasi::Descriptor::Dir(dir) => Ok(dir.dir.as_fd()),
            wasi::Descriptor::File(_) => Err(Errno::Notdir.into()),
        }
    }

    /// The check of a change to the directory itself: below a preopen that may be written (`perm`).
    pub(crate) fn check_perms(&self) -> Result<()> {
        match &self.inner {
            wasi::Descriptor::Dir(dir) if dir.perms.write_not_permitted() => {
                Err(Errno::Perm.into())
            }
            _ => Ok(()),
        }
    }
}

impl Descriptor {
    fn with(kind: Kind, flags: Fdflags) -> Self {
        Self {
            kind,
            dropped_base: AtomicU64::new(0),
            dropped_inheriting: AtomicU64::new(0),
            nonblock: AtomicBool::new(flags.contains(Fdflags::NONBLOCK)),
            append: AtomicBool::new(flags.contains(Fdflags::APPEND)),
            change_flags: Mutex::new(()),
        }
    }

    pub(crate) fn stream(stream: Stream) -> Self {
        Self::with(Kind::Stream(stream), Fdflags::empty())
    }

    pub(crate) fn preopen(dir: wasi::Dir, name: &str) -> Self {
        Self::dir_named(dir, Some(name))
    }

    pub(crate) fn dir_named(dir: wasi::Dir, name: Option<&str>) -> Self {
        let kind = Kind::Dir(Dir {
            inner: wasi::Descriptor::Dir(dir),
            preopen: name.map(Box::from),
        });
        Self::with(kind, Fdflags::empty())
    }

    /// A file whose description has `O_APPEND` set or not, as `append` says.
    pub(crate) fn file(file: wasi::File, append: bool) -> Self {
        let mut flags = Fdflags::empty();
        flags.set(Fdflags::APPEND, append);
        Self::with(Kind::File(File::new(file)), flags)
    }

    /// What `path_open` found below `parent`, opened with `flags`, to be written if `write`. Rights the parent no longer
    /// passes on are dropped.
    pub(crate) fn opened(
        found: wasi::Descriptor,
        flags: Fdflags,
        write: bool,
        parent: &Self,
    ) -> Result<Self> {
        let mut file = match found {
            dir @ wasi::Descriptor::Dir(_) => {
                let kind = Kind::Dir(Dir::unnamed(dir));
                return Ok(Self::with(kind, Fdflags::empty()).below(parent));
            }
            wasi::Descriptor::File(file) => file,
        };
        if !write {
            // wasmtime-wasi opens what is to be made or cut for writing too, whether that was asked for or not.
            file.open_mode.remove(OpenMode::WRITE);
        }
        let (file, found) = match special::as_stream(file)? {
            Ok(stream) => return Ok(Self::opened_stream(stream, flags, parent)),
            Err(file) => file,
        };
        if flags.contains(Fdflags::APPEND) {
            // The description is new and ours alone; nothing else is set on it that this could clear.
            rustix::fs::fcntl_setfl(&*file.file, OFlags::APPEND)?;
        }
        let flags = flags & (Fdflags::APPEND | Fdflags::NONBLOCK);
        let file = File::new(file).of_type(found);
        Ok(Self::with(Kind::File(file), flags).below(parent))
    }

    /// As `opened`, for a stream. `APPEND` means nothing to it.
    pub(crate) fn opened_stream(stream: Stream, flags: Fdflags, parent: &Self) -> Self {
        Self::with(Kind::Stream(stream), flags & Fdflags::NONBLOCK).below(parent)
    }

    /// With no rights but these.
    pub(crate) fn limited_to(mut self, base: Rights, inheriting: Rights) -> Self {
        *self.dropped_base.get_mut() |= !base.bits();
        *self.dropped_inheriting.get_mut() |= !inheriting.bits();
        self
    }

    /// Without the rights `parent` no longer passes on.
    pub(crate) fn below(mut self, parent: &Self) -> Self {
        let dropped = parent.dropped_inheriting.load(Ordering::Relaxed);
        *self.dropped_base.get_mut() = dropped;
        *self.dropped_inheriting.get_mut() = dropped;
        self
    }

    /// `notcapable` when the right to tell was given up, and the one to seek, which includes it (witx, `fd_seek`).
    #[inline]
    pub(crate) fn allow_tell(&self) -> Result<()> {
        let either = Rights::FD_TELL | Rights::FD_SEEK;
        if self.dropped_base.load(Ordering::Relaxed) & either.bits() == either.bits() {
            return Err(Errno::Notcapable.into());
        }
        Ok(())
    }

    /// `notcapable` when one of `rights` was given up.
    #[inline]
    pub(crate) fn allow(&self, rights: Rights) -> Result<()> {
        if self.dropped_base.load(Ordering::Relaxed) & rights.bits() != 0 {
            return Err(Errno::Notcapable.into());
        }
        Ok(())
    }

    /// The rights `path_open` needs of the directory it opens below: its own for what it does there, its inheriting
    /// ones for what the new descriptor shall be able to do (`notcapable` for those given up).
    pub(crate) fn allow_open(&self, how: Oflags, wanted: Rights) -> Result<()> {
        let mut needed = Rights::PATH_OPEN;
        needed.set(Rights::PATH_CREATE_FILE, how.contains(Oflags::CREAT));
        needed.set(Rights::PATH_FILESTAT_SET_SIZE, how.contains(Oflags::TRUNC));
        self.allow(needed)?;
        let dropped = self.dropped_inheriting.load(Ordering::Relaxed);
        let transfer = wanted & (Rights::FD_READ | Rights::FD_WRITE);
        // Whoever passes on neither of these wants what lies below to stay as it is. (Directories do not report the right
        // to cut files, as wasmtime-wasi's do not, so it cannot be given up by itself.)
        let change = Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE;
        let keeps = dropped & change.bits() == change.bits();
        if dropped & transfer.bits() != 0 || (keeps && how.contains(Oflags::TRUNC)) {
            return Err(Errno::Notcapable.into());
        }
        Ok(())
    }

    /// The file, or `badf`.
    #[inline]
    pub(crate) fn as_file(&self, rights: Rights) -> Result<&File> {
        match &self.kind {
            Kind::File(file) => {
                self.allow(rights)?;
                Ok(file)
            }
            Kind::Stream(_) | Kind::Dir(_) => Err(Errno::Badf.into()),
        }
    }

    /// The file, or `spipe` for a stream: what has no position cannot be positioned.
    #[inline]
    pub(crate) fn seekable(&self, rights: Rights) -> Result<&File> {
        match &self.kind {
            Kind::Stream(_) => Err(Errno::Spipe.into()),
            _ => self.as_file(rights),
        }
    }

    /// The directory, or `badf`.
    pub(crate) fn dir(&self, rights: Rights) -> Result<&Dir> {
        match &self.kind {
            Kind::Dir(dir) => {
                self.allow(rights)?;
                Ok(dir)
            }
            Kind::Stream(_) | Kind::File(_) => Err(Errno::Badf.into()),
        }
    }

    /// Whether the guest asked for calls that fail with `again` instead of waiting.
    pub(crate) fn nonblock(&self) -> bool {
        self.nonblock.load(Ordering::Relaxed)
    }

    pub(crate) fn flags(&self) -> Fdflags {
        let mut flags = Fdflags::empty();
        flags.set(Fdflags::APPEND, self.append.load(Ordering::Relaxed));
        flags.set(Fdflags::NONBLOCK, self.nonblock());
        flags
    }

    /// Sets `APPEND` and `NONBLOCK` as given, both at once for every other change (a write already under way may see
    /// either state). `NONBLOCK` is the guest's alone and never reaches the operating system.
    pub(crate) fn set_flags(&self, flags: Fdflags) -> Result<()> {
        let append = flags.contains(Fdflags::APPEND);
        let _held = self
            .change_flags
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match &self.kind {
            Kind::File(file) => {
                if append != self.append.load(Ordering::Relaxed) {
                    let mut os = rustix::fs::fcntl_getfl(file.fd())?;
                    os.set(OFlags::APPEND, append);
                    rustix::fs::fcntl_setfl(file.fd(), os)?;
                    self.append.store(append, Ordering::Relaxed);
                }
            }
            Kind::Stream(_) if append => return Err(Errno::Inval.into()),
            Kind::Stream(_) => {}
            Kind::Dir(_) => return Err(Errno::Badf.into()),
        }
        self.nonblock
            .store(flags.contains(Fdflags::NONBLOCK), Ordering::Relaxed);
        Ok(())
    }

    /// The rights reported by `fd_fdstat_get`: base and inheriting.
    pub(crate) fn rights(&self) -> (Rights, Rights) {
        let (base, inheriting) = self.initial_rights();
        let left = |rights: Rights, dropped: &AtomicU64| {
            Rights::from_bits_truncate(rights.bits() & !dropped.load(Ordering::Relaxed))
        };
        (
            left(base, &self.dropped_base),
            left(inheriting, &self.dropped_inheriting),
        )
    }

    /// Gives rights up for good. Asking for one that is not held is `notcapable`, and nothing changes.
    pub(crate) fn set_rights(&self, base: Rights, inheriting: Rights) -> Result<()> {
        let (held_base, held_inheriting) = self.rights();
        if !held_base.contains(base) || !held_inheriting.contains(inheriting) {
            return Err(Errno::Notcapable.into());
        }
        // Only ever adds to what is dropped, so two calls at once give up what either of them does.
        self.dropped_base
            .fetch_or((held_base & !base).bits(), Ordering::Relaxed);
        self.dropped_inheriting
            .fetch_or((held_inheriting & !inheriting).bits(), Ordering::Relaxed);
        Ok(())
    }

    /// The rights a descriptor is born with, as wasmtime-wasi's `p1.rs` (`fd_fdstat_get`) reports them.
    fn initial_rights(&self) -> (Rights, Rights) {
        match &self.kind {
            Kind::Stream(stream) => (stream.rights(), stream.inheriting_rights()),
            Kind::Dir(Dir {
                preopen: Some(_), ..
            }) => (PREOPEN, PREOPEN.union(PREOPEN_INHERITING)),
            Kind::Dir(dir) => {
                let mut rights = Rights::all()
                    & !(Rights::FD_SEEK
                        | Rights::FD_FILESTAT_SET_SIZE
                        | Rights::PATH_FILESTAT_SET_SIZE
                        | Rights::FD_WRITE);
                let readable = match &dir.inner {
                    wasi::Descriptor::Dir(dir) => dir.open_mode.contains(OpenMode::READ),
                    wasi::Descriptor::File(_) => false,
                };
                if !readable {
                    rights &= !(Rights::FD_READ | Rights::FD_READDIR);
                }
                (rights, rights)
            }
            Kind::File(file) => {
                let mut rights = Rights::all();
                if !file.inner.open_mode.contains(OpenMode::READ) {
                    rights &= !(Rights::FD_READ | Rights::FD_READDIR);
                }
                if !file.inner.open_mode.contains(OpenMode::WRITE) {
                    rights &= !Rights::FD_WRITE;
                }
                (rights, rights)
            }
        }
    }
}

/// What C libraries expect of a preopened directory.
const PREOPEN: Rights = Rights::PATH_CREATE_DIRECTORY
    .union(Rights::PATH_CREATE_FILE)
    .union(Rights::PATH_LINK_SOURCE)
    .union(Rights::PATH_LINK_TARGET)
    .union(Rights::PATH_OPEN)
    .union(Rights::FD_READDIR)
    .union(Rights::PATH_READLINK)
    .union(Rights::PATH_RENAME_SOURCE)
    .union(Rights::PATH_RENAME_TARGET)
    .union(Rights::PATH_SYMLINK)
    .union(Rights::PATH_REMOVE_DIRECTORY)
    .union(Rights::PATH_UNLINK_FILE)
    .union(Rights::PATH_FILESTAT_GET)
    .union(Rights::PATH_FILESTAT_SET_TIMES)
    .union(Rights::FD_FILESTAT_GET)
    .union(Rights::FD_FILESTAT_SET_TIMES);

/// What a preopened directory passes on beyond its own rights.
const PREOPEN_INHERITING: Rights = Rights::FD_DATASYNC
    .union(Rights::FD_READ)
    .union(Rights::FD_SEEK)
    .union(Rights::FD_FDSTAT_SET_FLAGS)
    .union(Rights::FD_SYNC)
    .union(Rights::FD_TELL)
    .union(Rights::FD_WRITE)
    .union(Rights::FD_ADVISE)
    .union(Rights::FD_ALLOCATE)
    .union(Rights::FD_FILESTAT_SET_SIZE)
    .union(Rights::POLL_FD_READWRITE);
