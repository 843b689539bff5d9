//! The rights of a descriptor: those it is born with, and those given up since.

use super::{Descriptor, Kind};
use crate::abi::error::Result;
use crate::abi::types::{Errno, Rights};
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime_wasi::OpenMode;
use wasmtime_wasi::filesystem as wasi;

impl Descriptor {
    /// The rights reported by `fd_fdstat_get`: base and inheriting.
    pub(crate) fn rights(&self) -> Result<(Rights, Rights)> {
        let (base, inheriting) = self.initial_rights()?;
        let left = |rights: Rights, dropped: &AtomicU64| {
            Rights::from_bits_truncate(rights.bits() & !dropped.load(Ordering::Relaxed))
        };
        Ok((
            left(base, &self.dropped_base),
            left(inheriting, &self.dropped_inheriting),
        ))
    }

    /// Gives rights up for good. Asking for one that is not held is `notcapable`, and nothing
    /// changes.
    pub(crate) fn set_rights(&self, base: Rights, inheriting: Rights) -> Result<()> {
        let (held_base, held_inheriting) = self.rights()?;
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

    /// The rights a descriptor is born with, as wasmtime-wasi's `p1.rs` (`fd_fdstat_get`) reports
    /// them.
    fn initial_rights(&self) -> Result<(Rights, Rights)> {
        Ok(match self.kind()? {
            Kind::Stream(stream) => (stream.rights(), stream.inheriting_rights()),
            Kind::Dir(dir) => {
                let readable = match &dir.inner {
                    wasi::Descriptor::Dir(dir) => dir.open_mode.contains(OpenMode::READ),
                    wasi::Descriptor::File(_) => false,
                };
                of_dir(dir.preopen.is_some(), readable)
            }
            Kind::MadeFolder(folder) => of_dir(
                folder.preopen.is_some(),
                folder.mode.contains(OpenMode::READ),
            ),
            Kind::File(file) => of_file(file.inner.open_mode),
            Kind::MadeFile(file) => of_file(file.mode),
        })
    }
}

fn of_dir(preopen: bool, readable: bool) -> (Rights, Rights) {
    if preopen {
        return (PREOPEN, PREOPEN.union(PREOPEN_INHERITING));
    }
    let mut rights = Rights::all()
        & !(Rights::FD_SEEK
            | Rights::FD_FILESTAT_SET_SIZE
            | Rights::PATH_FILESTAT_SET_SIZE
            | Rights::FD_WRITE);
    if !readable {
        rights &= !(Rights::FD_READ | Rights::FD_READDIR);
    }
    // C libraries give what they open below no more rights than these.
    (rights, rights | PREOPEN_INHERITING)
}

fn of_file(mode: OpenMode) -> (Rights, Rights) {
    let mut rights = Rights::all();
    if !mode.contains(OpenMode::READ) {
        rights &= !(Rights::FD_READ | Rights::FD_READDIR);
    }
    if !mode.contains(OpenMode::WRITE) {
        rights &= !Rights::FD_WRITE;
    }
    (rights, rights)
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
