//! The ended descriptor of an end signal, and what wakes a thread in `poll(2)`.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;

/// A descriptor that becomes readable once and stays so: nobody reads from it.
pub(crate) struct WakeFd {
    readable: OwnedFd,
    /// The other end, where the platform has only pipes.
    #[cfg(not(target_os = "linux"))]
    writable: OwnedFd,
}

impl WakeFd {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<WakeFd> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(WakeFd {
            readable: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<WakeFd> {
        let (readable, writable) = rustix::pipe::pipe()?;
        for end in [&readable, &writable] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(WakeFd { readable, writable })
    }

    /// Makes it readable. Cannot fail: the counter (or pipe) is full only when it is readable.
    pub(crate) fn set(&self) {
        #[cfg(target_os = "linux")]
        let end = &self.readable;
        #[cfg(not(target_os = "linux"))]
        let end = &self.writable;
        while let Err(Errno::INTR) = rustix::io::write(end, &1u64.to_ne_bytes()) {}
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        while let Err(Errno::INTR) = rustix::io::read(&self.readable, &mut count) {}
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}
