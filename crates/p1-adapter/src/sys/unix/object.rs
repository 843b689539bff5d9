//! What an open descriptor stands for: one look, one system call.

use rustix::fs::{FileType, Stat, fstat, major, minor};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// What was found behind a descriptor.
pub(crate) struct Object(Stat);

impl Object {
    /// Looks at `fd`.
    #[inline]
    pub(crate) fn of(fd: impl AsFd) -> Result<Self, Errno> {
        fstat(fd).map(Self)
    }

    #[inline]
    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.0.st_mode)
    }

    /// How many bytes it has, where that means something.
    #[inline]
    pub(crate) fn size(&self) -> u64 {
        u64::try_from(self.0.st_size).unwrap_or(0)
    }

    /// Its device and its number there: no two objects that are open have the same.
    #[allow(
        clippy::unnecessary_cast,
        reason = "the types of the fields are the platform's"
    )]
    pub(crate) fn id(&self) -> (u64, u64) {
        (self.0.st_dev as u64, self.0.st_ino as u64)
    }

    /// Whether this character device is one that never waits: null, zero, full, random, urandom.
    ///
    /// Linux device numbers. Elsewhere such a device is polled first, which it answers at once.
    /// (The kernel's log, 1:11, has the same major number, and a read at its end waits.)
    pub(crate) fn is_memory(&self) -> bool {
        const MEMORY: [(u32, u32); 5] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)];
        cfg!(target_os = "linux") && MEMORY.contains(&self.numbers())
    }

    /// Whether this character device gives and takes the same everywhere: null, zero, full.
    pub(crate) fn is_constant(&self) -> bool {
        const CONSTANT: [(u32, u32); 3] = [(1, 3), (1, 5), (1, 7)];
        cfg!(target_os = "linux") && CONSTANT.contains(&self.numbers())
    }

    /// Whether this character device makes a new pty for each open.
    pub(crate) fn is_pty_multiplexer(&self) -> bool {
        self.numbers() == (5, 2)
    }

    fn numbers(&self) -> (u32, u32) {
        (major(self.0.st_rdev), minor(self.0.st_rdev))
    }
}

/// Whether `fd` is a terminal.
pub(crate) fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    use std::io::IsTerminal as _;
    fd.is_terminal()
}
