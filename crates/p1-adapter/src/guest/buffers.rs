//! A guest's list of buffers, and how they are read into and written from.

use crate::abi::error::Result;
use crate::blocking::{EndSignal, Manner};
use crate::guest::memory::read_list;
use crate::sys::errno::Errno as Os;
use crate::sys::fd::BorrowedFd;
use crate::sys::iovec::{IOV_MAX, Iovecs, check_bounds, read_pair};
use smallvec::SmallVec;
use std::ops::Range;
use wiggle::GuestMemory;

/// How many bytes one call transfers (`MAX_RW_COUNT` on Linux): a count of them fits into a guest's
/// `size`, also where the call is made of several transfers.
const TRANSFER_MAX: usize = 0x7fff_f000;

/// The random bytes between two looks at the end signal.
const RANDOM_CHUNK: usize = 1 << 20;

/// A guest's list of buffers, copied out of its memory: `(address, length)`.
///
/// Empty buffers are left out. Only the first 1024 buffers take part, and only 2 GiB less a page of
/// their bytes. The call may transfer less than was asked for, which every caller of `fd_read` and
/// `fd_write` must expect anyway.
#[derive(Default)]
pub(crate) struct BufferList {
    pairs: SmallVec<[(u32, u32); 8]>,
    bytes: usize,
    cut: bool,
}

impl BufferList {
    /// Adds a buffer of a memory of `size` bytes.
    ///
    /// # Errors
    ///
    /// A trap when it reaches beyond the end of the memory, whether it takes part or not; the
    /// address of an empty one does not matter.
    pub(crate) fn add(&mut self, size: usize, start: u32, len: u32) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        check_bounds(size, start, len)?;
        let taken = (len as usize).min(TRANSFER_MAX - self.bytes);
        if taken == 0 || self.pairs.len() == IOV_MAX {
            self.cut = true;
            return Ok(());
        }
        self.cut |= taken < len as usize;
        self.bytes += taken;
        self.pairs.push((start, taken as u32));
        Ok(())
    }
}

impl BufferList {
    /// The buffers that take part.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (u32, u32)> {
        self.pairs.iter().copied()
    }
}

/// Buffers in guest memory, in the guest's order.
pub(crate) struct GuestBufs<'m> {
    iovecs: Iovecs<'m>,
    cut: bool,
}

impl<'m> GuestBufs<'m> {
    /// The buffers of the list at `at` in `memory`, which has `count`.
    ///
    /// # Errors
    ///
    /// A trap when the list, or one of the buffers, reaches beyond the end of the memory.
    #[inline]
    pub(crate) fn listed(memory: &'m mut GuestMemory<'_>, at: u32, count: u32) -> Result<Self> {
        if count == 1
            && let Some((start, len)) = read_pair(memory, at)
            && (1..=TRANSFER_MAX as u32).contains(&len)
        {
            return Ok(Self {
                iovecs: Iovecs::one(memory, start, len)?,
                cut: false,
            });
        }
        Self::all_listed(memory, at, count)
    }

    #[inline(never)]
    fn all_listed(memory: &'m mut GuestMemory<'_>, at: u32, count: u32) -> Result<Self> {
        let list = read_list(memory, at, count)?;
        Self::new(memory, &list)
    }

    /// The buffers of `list` in `memory`, which may be another one than the list was made for, or
    /// have grown.
    ///
    /// # Errors
    ///
    /// A trap when one of them reaches beyond the end of the memory.
    pub(crate) fn new(memory: &'m mut GuestMemory<'_>, list: &BufferList) -> Result<Self> {
        let mut bufs = Self {
            iovecs: Iovecs::none(),
            cut: list.cut,
        };
        bufs.iovecs.add(memory, list.pairs.iter().copied())?;
        Ok(bufs)
    }

    /// One buffer, of any length.
    ///
    /// # Errors
    ///
    /// A trap when it reaches beyond the end of the memory; the address of an empty one does not
    /// matter.
    pub(crate) fn one(memory: &'m mut GuestMemory<'_>, start: u32, len: u32) -> Result<Self> {
        let buffer = (len != 0).then_some((start, len));
        let mut bufs = Self {
            iovecs: Iovecs::none(),
            cut: false,
        };
        bufs.iovecs.add(memory, buffer)?;
        Ok(bufs)
    }

    /// Whether the guest's list had more than takes part.
    pub(crate) fn is_cut(&self) -> bool {
        self.cut
    }

    /// How many bytes the buffers hold together.
    pub(crate) fn len(&self) -> usize {
        self.iovecs.len()
    }

    /// The bytes `range` as buffers of their own.
    pub(crate) fn slice(&self, range: &Range<usize>) -> GuestBufs<'m> {
        GuestBufs {
            iovecs: self.iovecs.part(range),
            cut: false,
        }
    }

    /// Reads at the description's own cursor.
    pub(crate) fn read(&self, fd: BorrowedFd<'_>, end: &EndSignal) -> Result<usize> {
        retry(end, || self.iovecs.read(fd))
    }

    /// Writes at the description's own cursor, or at the end with `O_APPEND`.
    pub(crate) fn write(&self, fd: BorrowedFd<'_>, end: &EndSignal) -> Result<usize> {
        retry(end, || self.iovecs.write(fd))
    }

    /// Writes at the end of the file, wherever that is by then.
    pub(crate) fn append(&self, fd: BorrowedFd<'_>, end: &EndSignal) -> Result<usize> {
        retry(end, || self.iovecs.append(fd))
    }

    /// Reads at `offset`.
    pub(crate) fn read_at(
        &self,
        fd: BorrowedFd<'_>,
        offset: u64,
        end: &EndSignal,
    ) -> Result<usize> {
        retry(end, || self.iovecs.read_at(fd, offset))
    }

    /// Writes at `offset`. With `O_APPEND` Linux appends whatever the offset says.
    pub(crate) fn write_at(
        &self,
        fd: BorrowedFd<'_>,
        offset: u64,
        end: &EndSignal,
    ) -> Result<usize> {
        retry(end, || self.iovecs.write_at(fd, offset))
    }

    /// One attempt to read a stream, made in the way that does not wait. Not repeated when a signal
    /// interrupts it.
    pub(crate) fn try_read(&self, fd: BorrowedFd<'_>, manner: Manner) -> Result<usize, Os> {
        match manner {
            Manner::Plain => self.iovecs.read(fd),
            Manner::NoWait => self.iovecs.read_nowait(fd),
            Manner::Socket => self.recv(fd, false, false).map(|(n, _)| n),
        }
    }

    /// One attempt to write the bytes `range` to a stream, in the way that does not wait. Not
    /// repeated when a signal interrupts it.
    pub(crate) fn try_write(
        &self,
        fd: BorrowedFd<'_>,
        manner: Manner,
        range: &Range<usize>,
    ) -> Result<usize, Os> {
        if *range != (0..self.len()) {
            return self.slice(range).try_write(fd, manner, &(0..range.len()));
        }
        match manner {
            Manner::Plain => self.iovecs.write(fd),
            Manner::NoWait => self.iovecs.write_nowait(fd),
            Manner::Socket => self.iovecs.send(fd),
        }
    }

    /// One attempt to receive from a socket; with `peek` the bytes stay there. Also says whether a
    /// record was cut short, if the socket has `records`. Never waits. Not repeated when
    /// interrupted.
    pub(crate) fn recv(
        &self,
        fd: BorrowedFd<'_>,
        peek: bool,
        records: bool,
    ) -> Result<(usize, bool), Os> {
        self.iovecs.recv(fd, peek, records)
    }

    /// Copies `bytes` into the buffers, in order, as far as both go. For bytes the host has in its
    /// own memory.
    pub(crate) fn fill(&self, bytes: &[u8]) {
        self.iovecs.fill(bytes);
    }

    /// A copy of the bytes `range` of the whole.
    pub(crate) fn copy_out(&self, range: &Range<usize>) -> Vec<u8> {
        self.iovecs.part(range).copy_out()
    }

    /// Fills the buffers with random bytes of the operating system's; looks at `end` before each
    /// megabyte.
    pub(crate) fn fill_random(&self, end: &EndSignal) -> Result<()> {
        let mut done = 0;
        while done < self.len() {
            end.check()?;
            let piece = done..self.len().min(done + RANDOM_CHUNK);
            done += retry(end, || self.iovecs.part(&piece).random())?;
        }
        Ok(())
    }
}

/// Makes a system call until no signal handler interrupts it, or the end signal is raised. So an
/// embedder can get a thread out of a file system that hangs, if the file system can be
/// interrupted.
#[inline]
fn retry(end: &EndSignal, mut call: impl FnMut() -> Result<usize, Os>) -> Result<usize> {
    loop {
        match call() {
            Ok(count) => return Ok(count),
            Err(Os::INTR) => end.check()?,
            Err(errno) => return Err(errno.into()),
        }
    }
}
