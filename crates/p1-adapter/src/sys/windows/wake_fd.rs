//! The ended descriptor of an end signal, and what wakes a thread that waits: an event.
#![allow(unsafe_code)]

use super::fd::BorrowedFd;
use std::io;
use std::os::windows::io::{AsHandle as _, AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::ptr::null;
use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

/// An event that is set once and stays so, until it is cleared.
pub(crate) struct WakeFd(OwnedHandle);

impl WakeFd {
    /// # Errors
    ///
    /// The system's, which has no handle left.
    pub(crate) fn new() -> io::Result<Self> {
        // SAFETY: no attributes and no name.
        let event = unsafe { CreateEventW(null(), 1, 0, null()) };
        if event.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: it is new, and known here only.
        Ok(Self(unsafe { OwnedHandle::from_raw_handle(event) }))
    }

    /// Makes it readable. Cannot fail: it is an event, and open.
    pub(crate) fn set(&self) {
        // SAFETY: the handle is open.
        unsafe { SetEvent(self.0.as_raw_handle()) };
    }

    /// Makes it unreadable again.
    pub(crate) fn clear(&self) {
        // SAFETY: the handle is open.
        unsafe { ResetEvent(self.0.as_raw_handle()) };
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        BorrowedFd::of_event(self.0.as_handle())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::poll::{PollFd, PollFlags, poll};
    use crate::sys::time::timespec;

    #[test]
    fn it_is_readable_once_set_until_cleared() {
        let one = WakeFd::new().unwrap();
        let is_readable = || {
            let mut fds = [PollFd::from_borrowed_fd(one.descriptor(), PollFlags::IN)];
            poll(&mut fds, Some(&timespec(0))).unwrap() > 0
        };
        assert!(!is_readable());
        for times in [1, 3] {
            (0..times).for_each(|_| one.set());
            assert!(is_readable(), "{times}");
            one.clear();
            assert!(!is_readable(), "{times}");
        }
    }
}
