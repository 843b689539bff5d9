//! Paths: looked up, opened and changed below a directory, through wasmtime-wasi.

mod changes;
pub(crate) mod fifo_open;
mod find_fifo;
mod once_more;
pub(crate) mod open;
mod open_plain;
pub(crate) mod operations;
pub(crate) mod refine_errno;
pub(crate) mod set_times;
mod single;
mod slashes;
