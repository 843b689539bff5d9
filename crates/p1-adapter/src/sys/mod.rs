//! What depends on the platform: system calls, and what differs between Unix systems. All unsafe
//! code is in here.
//!
//! Outside of this folder there are no conditions on the platform and no calls of the system's.
//! What goes in and out are descriptors, `rustix`'s `Errno`, and the flags and types that `file`,
//! `poll`, `socket` and `time` name.

pub(crate) mod attributes;
pub(crate) mod errno;
pub(crate) mod file;
pub(crate) mod iovec;
pub(crate) mod listing;
pub(crate) mod name;
pub(crate) mod object;
pub(crate) mod open;
pub(crate) mod poll;
pub(crate) mod poll_set;
pub(crate) mod socket;
pub(crate) mod time;
pub(crate) mod wake_fd;
pub(crate) mod word;
