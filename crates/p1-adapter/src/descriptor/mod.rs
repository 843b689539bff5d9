//! What a descriptor number stands for, and what it may do.
//!
//! Everything that cannot change while a descriptor is open (its kind, its permissions, the mode it
//! was opened with) is plain data, read without a lock. wasmtime-wasi says only whether `path_open`
//! has found a directory. The kind is asked for when it first matters, because many a file is only
//! opened, stat'ed and closed. The guest may change four words, each an atomic: flags and dropped
//! rights. The one lock here orders changes of `O_APPEND`, which lives in two places (the operating
//! system's flag and our record of it).

pub(crate) mod cookies;
pub(crate) mod fds;
pub(crate) mod made;
pub(crate) mod name_list;
mod opened;
pub(crate) mod position;
mod recognise;
mod rights;
pub(crate) mod stream;

use crate::abi::convert;
use crate::abi::error::Result;
use crate::abi::types::{Errno, Fdflags, Oflags, Rights};
use crate::descriptor::stream::GuestStream;
use crate::lock::lock;
use crate::made::below::Below;
use crate::sys;
use crate::sys::fd::BorrowedFd;
use crate::sys::file::{FileType, OFlags};
use made::{OpenMadeFile, OpenMadeFolder};
use opened::UNASKED;
pub(crate) use opened::{Dir, File};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;

/// One open descriptor. Shared by every thread that uses its number.
pub(crate) struct Descriptor {
    what: What,
    /// Rights given up with `fd_fdstat_set_rights`: base and inheriting. A right that is not in
    /// here is not checked by us, but by the mode the file was opened with and the permissions of
    /// its preopen.
    dropped_base: AtomicU64,
    dropped_inheriting: AtomicU64,
    nonblock: AtomicBool,
    /// Of a description that is ours alone.
    append: AtomicBool,
    /// The synchronising flags it was opened with, which cannot be changed.
    synchronised: Fdflags,
    change_flags: Mutex<()>,
}

/// The kinds of descriptor.
pub(crate) enum Kind<'a> {
    /// A byte stream: standard input, output and error, what an embedder pushes, and what
    /// `path_open` finds that may block.
    Stream(&'a GuestStream),
    /// A file, or a device that never waits.
    File(&'a File),
    Dir(&'a Dir),
    /// What the host makes up.
    MadeFile(&'a OpenMadeFile),
    MadeFolder(&'a OpenMadeFolder),
}

/// What paths begin at.
pub(crate) enum Start<'a> {
    Dir(&'a Dir),
    Made(&'a Below),
}

/// What a descriptor is made of.
enum What {
    /// Much larger than the rest, and far rarer: kept apart, so that opening a file moves less.
    Stream(Box<GuestStream>),
    /// A file, or a stream that has not been recognised as one yet.
    File(File),
    Dir(Dir),
    MadeFile(Box<OpenMadeFile>),
    MadeFolder(Box<OpenMadeFolder>),
}

impl Descriptor {
    fn with(what: What, flags: Fdflags) -> Self {
        Self {
            what,
            dropped_base: AtomicU64::new(0),
            dropped_inheriting: AtomicU64::new(0),
            nonblock: AtomicBool::new(flags.contains(Fdflags::NONBLOCK)),
            append: AtomicBool::new(flags.contains(Fdflags::APPEND)),
            synchronised: flags & SYNCHRONISING,
            change_flags: Mutex::new(()),
        }
    }

    pub(crate) fn stream(stream: GuestStream) -> Self {
        Self::with(What::Stream(Box::new(stream)), Fdflags::empty())
    }

    pub(crate) fn preopen(dir: wasi::Dir, name: &str) -> Self {
        Self::dir_named(dir, Some(name))
    }

    pub(crate) fn dir_named(dir: wasi::Dir, name: Option<&str>) -> Self {
        let dir = Dir {
            preopen: name.map(Box::from),
            ..Dir::unnamed(wasi::Descriptor::Dir(dir))
        };
        Self::with(What::Dir(dir), Fdflags::empty())
    }

    /// A file of a type that no stream has, with the flags `os`. Others may have its description
    /// too.
    pub(crate) fn file(file: wasi::File, found: FileType, os: OFlags) -> Self {
        let file = File::unasked(file, false);
        file.is_file(found);
        Self::with(What::File(file), convert::synchronising(os)).nonblocking(os)
    }

    /// With `NONBLOCK` as among the flags `os`. From then on it is the guest's own.
    pub(crate) fn nonblocking(mut self, os: OFlags) -> Self {
        *self.nonblock.get_mut() = os.contains(OFlags::NONBLOCK);
        self
    }

    /// What `path_open` found below `parent`, opened with `flags`, to be written if `write`; with
    /// its type, if the open has asked for that. Rights the parent no longer passes on are dropped.
    pub(crate) fn opened(
        (found, told): (wasi::Descriptor, Option<FileType>),
        flags: Fdflags,
        write: bool,
        parent: &Self,
    ) -> Result<Self> {
        let mut file = match found {
            dir @ wasi::Descriptor::Dir(_) => {
                let what = What::Dir(Dir::unnamed(dir));
                return Ok(Self::with(what, Fdflags::empty()).below(parent));
            }
            wasi::Descriptor::File(file) => file,
        };
        if !write {
            // wasmtime-wasi opens what is to be made or cut for writing too, whether that was asked
            // for or not.
            file.open_mode.remove(OpenMode::WRITE);
        }
        let file = File::unasked(file, true);
        if let Some(told) = told {
            file.learn(told);
        }
        // On Linux the stronger ones include the others.
        let mut flags = match flags.intersects(Fdflags::SYNC | Fdflags::RSYNC) {
            true => flags | SYNCHRONISING,
            false => flags,
        };
        if flags.contains(Fdflags::APPEND) {
            if file.as_stream()?.is_none() {
                // The description is new and ours alone; nothing else is set on it that this could
                // clear.
                sys::file::set_flags(&*file.inner.file, OFlags::APPEND)?;
            } else {
                // It means nothing to a stream.
                flags.remove(Fdflags::APPEND);
            }
        }
        Ok(Self::with(What::File(file), flags).below(parent))
    }

    /// As `opened`, for a stream. `APPEND` means nothing to it.
    pub(crate) fn opened_stream(stream: GuestStream, flags: Fdflags, parent: &Self) -> Self {
        let what = What::Stream(Box::new(stream));
        Self::with(what, flags & Fdflags::NONBLOCK).below(parent)
    }

    /// What it is. The first time, one `fstat` for what `path_open` found.
    #[inline]
    pub(crate) fn kind(&self) -> Result<Kind<'_>> {
        Ok(match &self.what {
            What::Stream(stream) => Kind::Stream(stream),
            What::Dir(dir) => Kind::Dir(dir),
            What::MadeFile(file) => Kind::MadeFile(file),
            What::MadeFolder(folder) => Kind::MadeFolder(folder),
            What::File(file) => match file.as_stream()? {
                None => Kind::File(file),
                Some(stream) => Kind::Stream(stream),
            },
        })
    }

    /// The host's descriptor behind it, if it is one of the system's; a directory's may be good for
    /// nothing but paths (`O_PATH`).
    pub(crate) fn host(&self) -> Result<Option<BorrowedFd<'_>>> {
        Ok(match self.kind()? {
            Kind::File(file) => Some(file.fd()),
            Kind::Dir(dir) => Some(dir.fd()?),
            Kind::Stream(stream) => stream.host(),
            Kind::MadeFile(_) | Kind::MadeFolder(_) => None,
        })
    }

    /// The directory, if it is one: never asks the operating system.
    pub(crate) fn as_dir(&self) -> Option<&Dir> {
        match &self.what {
            What::Dir(dir) => Some(dir),
            _ => None,
        }
    }

    /// Whether it is a directory, of the host's or made up.
    pub(crate) fn is_dir(&self) -> bool {
        matches!(self.what, What::Dir(_) | What::MadeFolder(_))
    }

    /// The guest's name for it, if it is a preopen.
    pub(crate) fn preopen_name(&self) -> Option<&str> {
        match &self.what {
            What::Dir(dir) => dir.preopen.as_deref(),
            What::MadeFolder(folder) => folder.preopen.as_deref(),
            What::Stream(_) | What::File(_) | What::MadeFile(_) => None,
        }
    }

    /// What paths below it begin at, or `notdir`.
    pub(crate) fn start(&self, rights: Rights) -> Result<Start<'_>> {
        let start = match &self.what {
            What::Dir(dir) => Start::Dir(dir),
            What::MadeFolder(folder) => Start::Made(&folder.below),
            What::Stream(_) | What::File(_) | What::MadeFile(_) => return Err(Errno::Notdir.into()),
        };
        self.allow(rights)?;
        Ok(start)
    }

    /// The file that [`kind`](Self::kind) would still have to look at.
    pub(crate) fn unasked(&self) -> Option<&File> {
        match &self.what {
            What::File(file) if file.file_type.load(Ordering::Relaxed) == UNASKED => Some(file),
            _ => None,
        }
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

    /// `notcapable` when the right to tell was given up, and the one to seek, which includes it
    /// (witx, `fd_seek`).
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

    /// The rights `path_open` needs of the directory it opens below. Its own rights are for what it
    /// does there, its inheriting ones for what the new descriptor shall be able to do.
    /// `notcapable` for those given up.
    pub(crate) fn allow_open(&self, how: Oflags, wanted: Rights) -> Result<()> {
        let mut needed = Rights::PATH_OPEN;
        needed.set(Rights::PATH_CREATE_FILE, how.contains(Oflags::CREAT));
        needed.set(Rights::PATH_FILESTAT_SET_SIZE, how.contains(Oflags::TRUNC));
        self.allow(needed)?;
        let dropped = self.dropped_inheriting.load(Ordering::Relaxed);
        let transfer = wanted & (Rights::FD_READ | Rights::FD_WRITE);
        // A guest that passes on neither of these wants what lies below to stay unchanged.
        // (Directories do not report the right to cut files, as wasmtime-wasi's do not, so it
        // cannot be given up by itself.)
        let change = Rights::FD_WRITE | Rights::FD_FILESTAT_SET_SIZE;
        let keeps = dropped & change.bits() == change.bits();
        if dropped & transfer.bits() != 0 || (keeps && how.contains(Oflags::TRUNC)) {
            return Err(Errno::Notcapable.into());
        }
        Ok(())
    }

    /// The file, or `spipe` for a stream: what has no position cannot be positioned.
    #[inline]
    pub(crate) fn seekable(&self, rights: Rights) -> Result<&File> {
        match self.kind()? {
            Kind::Stream(_) => Err(Errno::Spipe.into()),
            Kind::File(file) => {
                self.allow(rights)?;
                Ok(file)
            }
            // A made file is asked before.
            Kind::Dir(_) | Kind::MadeFile(_) | Kind::MadeFolder(_) => Err(Errno::Badf.into()),
        }
    }

    /// Whether the guest asked for calls that fail with `again` instead of waiting.
    pub(crate) fn nonblock(&self) -> bool {
        self.nonblock.load(Ordering::Relaxed)
    }

    /// The synchronising flags among its own.
    pub(crate) fn synchronised(&self) -> Fdflags {
        self.synchronised
    }

    /// The flags: one system call where others may have changed `O_APPEND`.
    pub(crate) fn flags(&self) -> Result<Fdflags> {
        let mut flags = self.synchronised;
        flags.set(Fdflags::APPEND, self.appends()?);
        flags.set(Fdflags::NONBLOCK, self.nonblock());
        Ok(flags)
    }

    /// Whether what is written goes to the end.
    pub(crate) fn appends(&self) -> Result<bool> {
        match &self.what {
            What::File(file) if file.is_shared() => {
                Ok(sys::file::flags(file.fd())?.contains(OFlags::APPEND))
            }
            _ => Ok(self.append.load(Ordering::Relaxed)),
        }
    }

    /// Whether a write to this file must say that it goes to the end, where the system does not see
    /// to that.
    #[inline]
    pub(crate) fn must_be_appended(&self) -> Result<bool> {
        Ok(!sys::file::KEEPS_APPEND && self.appends()?)
    }

    /// Sets `APPEND` and `NONBLOCK` as given, both at once for every other change (a write already
    /// under way may see either state). `NONBLOCK` is the guest's alone and never reaches the
    /// operating system.
    pub(crate) fn set_flags(&self, flags: Fdflags) -> Result<()> {
        let append = flags.contains(Fdflags::APPEND);
        let _held = lock(&self.change_flags);
        match self.kind()? {
            Kind::File(file) => {
                if append != self.appends()? {
                    let mut os = sys::file::flags(file.fd())?;
                    os.set(OFlags::APPEND, append);
                    sys::file::set_flags(file.fd(), os)?;
                    self.append.store(append, Ordering::Relaxed);
                }
            }
            Kind::Stream(_) if append => return Err(Errno::Inval.into()),
            Kind::Stream(_) => {}
            Kind::MadeFile(_) => self.append.store(append, Ordering::Relaxed),
            Kind::Dir(_) | Kind::MadeFolder(_) => return Err(Errno::Badf.into()),
        }
        self.nonblock
            .store(flags.contains(Fdflags::NONBLOCK), Ordering::Relaxed);
        Ok(())
    }
}

/// The flags that say when what was written is durable.
pub(crate) const SYNCHRONISING: Fdflags = Fdflags::DSYNC.union(Fdflags::SYNC).union(Fdflags::RSYNC);
