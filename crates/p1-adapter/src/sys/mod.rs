//! What depends on the platform: system calls, and what differs between Unix systems. All unsafe code is in here.

pub(crate) mod attributes;
pub(crate) mod device;
pub(crate) mod file;
pub(crate) mod iovec;
pub(crate) mod listing;
pub(crate) mod open;
pub(crate) mod poll_set;
pub(crate) mod socket;
pub(crate) mod time;
pub(crate) mod wake_fd;
pub(crate) mod word;
