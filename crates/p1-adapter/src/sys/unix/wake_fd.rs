//! The ended descriptor of an end signal, and what wakes a thread in `poll(2)`.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;

/// A descriptor that becomes readable once and stays so: it is never read.
pub(crate) struct WakeFd {
    readable: OwnedFd,
    /// The other end, where this is a pipe.
    writable: Option<OwnedFd>,
}

impl WakeFd {
    /// An `eventfd`; a pipe, where there is none or a filter of system calls refuses it.
    pub(crate) fn new() -> io::Result<WakeFd> {
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{EventfdFlags, eventfd};
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            if let Ok(readable) = eventfd(0, flags) {
                let writable = None;
                return Ok(WakeFd { readable, writable });
            }
        }
        Self::pipe()
    }

    fn pipe() -> io::Result<WakeFd> {
        let (readable, writable) = rustix::pipe::pipe()?;
        for end in [&readable, &writable] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        let writable = Some(writable);
        Ok(WakeFd { readable, writable })
    }

    /// Makes it readable. Cannot fail: the counter (or pipe) is full only when it is readable.
    pub(crate) fn set(&self) {
        let end = self.writable.as_ref().unwrap_or(&self.readable);
        while let Err(Errno::INTR) = rustix::io::write(end, &1u64.to_ne_bytes()) {}
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        let mut count = [0u8; 8];
        loop {
            match rustix::io::read(&self.readable, &mut count) {
                Err(Errno::INTR) => {}
                // A pipe has something for each time that it was set.
                Ok(1..) if self.writable.is_some() => {}
                _ => break,
            }
        }
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.readable.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn is_readable(one: &WakeFd) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(one.descriptor(), PollFlags::IN)];
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).unwrap() > 0
    }

    #[test]
    fn both_kinds_are_readable_once_set_until_cleared() {
        for one in [WakeFd::new().unwrap(), WakeFd::pipe().unwrap()] {
            assert!(!is_readable(&one));
            for times in [1, 3, 20_000] {
                (0..times).for_each(|_| one.set());
                assert!(is_readable(&one), "{times}");
                one.clear();
                assert!(!is_readable(&one), "{times}");
            }
        }
    }
}
