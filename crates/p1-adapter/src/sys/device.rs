//! Devices that are known by their numbers.

use rustix::fs::{Stat, fstat, major, minor};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

fn numbers(stat: &Stat) -> (u32, u32) {
    (major(stat.st_rdev), minor(stat.st_rdev))
}

/// Whether the character device is one that never waits: null, zero, full, random, urandom.
///
/// Linux device numbers. Elsewhere such a device is polled first, which it answers at once. (The kernel's log, 1:11, has
/// the same major number, and a read at its end waits.)
pub(crate) fn is_memory(stat: &Stat) -> bool {
    const MEMORY: [(u32, u32); 5] = [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9)];
    cfg!(target_os = "linux") && MEMORY.contains(&numbers(stat))
}

/// Whether the character device gives and takes the same everywhere: null, zero, full.
pub(crate) fn is_constant(device: BorrowedFd<'_>) -> Result<bool, Errno> {
    const CONSTANT: [(u32, u32); 3] = [(1, 3), (1, 5), (1, 7)];
    Ok(cfg!(target_os = "linux") && CONSTANT.contains(&numbers(&fstat(device)?)))
}

/// Whether the character device makes a new pty for each open.
pub(crate) fn is_pty_multiplexer(stat: &Stat) -> bool {
    numbers(stat) == (5, 2)
}
