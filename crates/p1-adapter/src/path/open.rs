//! What `path_open` finds that is neither file nor directory: FIFOs, terminals and other devices
//! that may block.
//!
//! wasmtime-wasi opens everything with a plain `open(2)`. For a FIFO that waits until the other
//! side is opened too. No descriptor and no lock of ours ends the wait, only the other side does:
//! [`OpenInProgress`](crate::path::fifo_open::OpenInProgress).
//!
//! Nothing is asked before an open, so a file pays two uncontended locks and two counts for this,
//! and no system call.

use super::fifo_open::{OpenInProgress, Opens};
use super::find_fifo::find_fifo;
use super::operations::WasiPaths;
use crate::abi::error::Result;
use crate::abi::types::Errno;
use crate::blocking::{EndSignal, Fifo, FifoAccess};
use crate::descriptor::Dir;
use crate::descriptor::stream::GuestStream;
use crate::sys::file::FileType;
use crate::sys::name::PATH_MAX;
use std::sync::Arc;
use wasmtime_wasi::filesystem::Descriptor;
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};

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
    /// With its type, if that had to be asked for.
    Plain(Descriptor, Option<FileType>),
    Fifo(GuestStream),
}

impl Open<'_> {
    /// The sides of a FIFO that are opened for these flags: those asked for, and that for writing
    /// where it is to be cut.
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

    /// Whether the open would wait if this were a FIFO. An open of both sides never waits, and a
    /// new file is no FIFO.
    fn may_wait(&self) -> bool {
        self.access() != FifoAccess::ReadWrite
            && !self.how.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE)
    }

    /// wasmtime-wasi opens first and looks afterwards whether it is a directory. So the open of a
    /// FIFO would wait for the other side only to be refused. With a slash behind the name the
    /// system refuses it at once. (That is not done if links are not to be followed: a slash would
    /// follow one.)
    pub(super) fn ask_for_directory(&mut self) {
        if self.how == OpenFlags::DIRECTORY
            && self.follow.contains(PathFlags::SYMLINK_FOLLOW)
            && !self.path.is_empty()
            // The longest possible path has no room for a slash.
            && self.path.len() < PATH_MAX - 1
        {
            self.path.push('/');
        }
    }

    /// Opens it.
    ///
    /// With the guest's `NONBLOCK` a FIFO is opened as POSIX has it: for reading at once, for
    /// writing with `nxio` if it has no reader. That flag alone costs a look at the path first.
    pub(crate) fn run(
        mut self,
        paths: &mut WasiPaths,
        in_progress: &mut OpenInProgress,
        opens: &Arc<Opens>,
    ) -> Result<Opened> {
        if !self.is_single() {
            self.ask_for_directory();
        }
        if !self.may_wait() {
            return self.plain(paths);
        }
        let end = opens.end_signal();
        if self.nonblock
            && let Some(fifo) = self.fifo(paths)?
        {
            return Ok(Opened::Fifo(self.open_fifo(&fifo, true, end)?));
        }
        let place = (self.dir, self.follow, &self.path);
        let entered = in_progress.enter(place, self.access(), paths, opens)?;
        // A thread may be moving what this is about to open, and may not have seen this open.
        // Through a descriptor of the object the names do not matter.
        let fifo = match entered.names_move {
            // What cannot be looked for is for the open itself to report.
            true => self.fifo(paths).unwrap_or(None),
            false => None,
        };
        let found = match fifo {
            Some(fifo) => self.open_fifo(&fifo, false, end).map(Opened::Fifo),
            None => self.plain(paths),
        };
        entered.leave()?;
        found
    }

    /// The FIFO there, if it is one that a plain open would open.
    fn fifo(&self, paths: &mut WasiPaths) -> Result<Option<Fifo>> {
        // It fails, which the plain open will say.
        if self.how.contains(OpenFlags::DIRECTORY) {
            return Ok(None);
        }
        let found = find_fifo(paths, self.dir, self.follow, self.path.clone())?;
        Ok(found.map(|(fifo, _)| fifo))
    }

    /// Whether a FIFO would be opened. If the path cannot be looked at, it counts as none.
    pub(crate) fn finds_fifo(&self, paths: &mut WasiPaths) -> bool {
        self.fifo(paths).unwrap_or(None).is_some()
    }

    fn open_fifo(&self, fifo: &Fifo, nonblock: bool, end: &EndSignal) -> Result<GuestStream> {
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
        Ok(GuestStream::duplex(stream, read, write).opened_below(perms))
    }
}
