//! What differs between Unix systems: the ended descriptor, real-time timers, reopening.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use std::io;

/// A descriptor that becomes readable once and stays so: nobody reads from it.
pub(crate) struct Event {
    readable: OwnedFd,
    /// The other end, where the platform has only pipes.
    #[cfg(not(target_os = "linux"))]
    writable: OwnedFd,
}

impl Event {
    #[cfg(target_os = "linux")]
    pub(crate) fn new() -> io::Result<Event> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Event {
            readable: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        })
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn new() -> io::Result<Event> {
        let (readable, writable) = rustix::pipe::pipe()?;
        for end in [&readable, &writable] {
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
            rustix::io::ioctl_fionbio(end, true)?;
        }
        Ok(Event { readable, writable })
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

/// A descriptor that becomes readable when `CLOCK_REALTIME` reaches `nanoseconds`, however the clock
/// is set meanwhile: the kernel keeps such a timer on the clock itself, not on a computed interval.
#[cfg(target_os = "linux")]
pub(crate) fn realtime_timer(nanoseconds: u64) -> io::Result<OwnedFd> {
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create,
        timerfd_settime,
    };
    let timer = timerfd_create(
        TimerfdClockId::Realtime,
        TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
    )?;
    timerfd_settime(
        &timer,
        TimerfdTimerFlags::ABSTIME,
        &Itimerspec {
            it_interval: crate::blocking::deadline::timespec(0),
            // All zeroes would disarm it; the first nanosecond of 1970 has passed as well.
            it_value: crate::blocking::deadline::timespec(nanoseconds.max(1)),
        },
    )?;
    Ok(timer)
}

/// No timer that follows the clock here: the caller takes the remaining time once.
#[cfg(not(target_os = "linux"))]
pub(crate) fn realtime_timer(_nanoseconds: u64) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A non-blocking description of our own for the pipe or terminal `fd`, with the same access mode.
///
/// The caller has made sure that `fd` is a pipe or a terminal: opening other devices anew has side
/// effects (a pty master would come back as a *new* pty).
#[cfg(target_os = "linux")]
pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    use rustix::fd::AsRawFd;
    use rustix::fs::{Mode, OFlags, fcntl_getfl, fstat, open};
    let access = fcntl_getfl(fd)? & OFlags::ACCMODE;
    let ours = open(
        format!("/proc/self/fd/{}", fd.as_raw_fd()),
        access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let (theirs, found) = (fstat(fd)?, fstat(&ours)?);
    // `/proc` may be someone else's idea of it (a bind mount, a chroot).
    if (theirs.st_dev, theirs.st_ino, theirs.st_rdev) == (found.st_dev, found.st_ino, found.st_rdev)
    {
        Ok(ours)
    } else {
        Err(Errno::NXIO.into())
    }
}

/// `/dev/fd/N` duplicates on most other systems, which shares the flags: not attempted.
#[cfg(not(target_os = "linux"))]
pub(crate) fn reopen(_fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    Err(io::ErrorKind::Unsupported.into())
}
