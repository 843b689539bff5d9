//! One descriptor that is ready when one of several is.

use rustix::event::PollFlags;
use rustix::fd::{BorrowedFd, OwnedFd};
use std::io;

/// An `epoll` of `fds`, which must stay open for as long as it is used; nothing (`None`) if one of
/// them is always ready.
///
/// # Errors
///
/// What `epoll_create` or `epoll_ctl` report.
#[cfg(target_os = "linux")]
pub(crate) fn together<'fd>(
    fds: impl IntoIterator<Item = (BorrowedFd<'fd>, PollFlags)>,
) -> io::Result<Option<OwnedFd>> {
    use rustix::event::epoll;
    use rustix::io::Errno;
    let all = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (place, (fd, events)) in (0..).zip(fds) {
        let mut watch = epoll::EventFlags::empty();
        watch.set(epoll::EventFlags::IN, events.contains(PollFlags::IN));
        watch.set(epoll::EventFlags::OUT, events.contains(PollFlags::OUT));
        match epoll::add(&all, fd, epoll::EventData::new_u64(place), watch) {
            Ok(()) => {}
            // Always ready.
            Err(Errno::PERM) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(Some(all))
}

/// No `epoll`.
#[cfg(not(target_os = "linux"))]
pub(crate) fn together<'fd>(
    _fds: impl IntoIterator<Item = (BorrowedFd<'fd>, PollFlags)>,
) -> io::Result<Option<OwnedFd>> {
    Err(io::ErrorKind::Unsupported.into())
}
