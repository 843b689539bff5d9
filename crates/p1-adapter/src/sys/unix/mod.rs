//! Unix: `rustix`, and `libc` where a call is made straight on guest memory.

pub(crate) mod attributes;
pub(crate) mod blocked;
pub(crate) mod errno;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod listing;
pub(crate) mod name;
pub(crate) mod object;
pub(crate) mod open;
pub(crate) mod poll;
pub(crate) mod poll_set;
pub(crate) mod socket;
pub(crate) mod time;
pub(crate) mod wake_fd;
pub(crate) mod watch;
