//! What depends on the platform: system calls, and what differs between systems. All unsafe code is
//! in here.
//!
//! Outside of this folder there are no conditions on the platform and no calls of the system's.
//! `unix` and `windows` have the same modules with the same operations; what is weaker on one of
//! them is said there. What goes in and out are the descriptors of `fd`, the errors of `errno`, and
//! the flags and types that `file`, `poll`, `socket` and `time` name.

pub(crate) mod iovec;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
pub(crate) mod word;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

pub(crate) use platform::fd;
pub(crate) use platform::{
    attributes, blocked, errno, file, listing, name, object, open, poll, poll_set, socket, time,
    wake_fd, watch,
};
