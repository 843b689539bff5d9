//! Windows: handles and sockets. Paths are wasmtime-wasi's here, to the last name.

pub(crate) mod attributes;
pub(crate) mod blocked;
pub(crate) mod errno;
pub(crate) mod fd;
pub(crate) mod file;
pub(crate) mod listing;
pub(crate) mod name;
pub(crate) mod object;
pub(crate) mod open;
mod pipe;
pub(crate) mod poll;
pub(crate) mod poll_set;
pub(crate) mod socket;
pub(crate) mod time;
pub(crate) mod wake_fd;
pub(crate) mod watch;

#[cfg(test)]
mod tests;
