//! Paths: looked up, opened and changed below a directory, through wasmtime-wasi.

pub(crate) mod fifo_open;
pub(crate) mod open;
pub(crate) mod operations;
pub(crate) mod refine_errno;
pub(crate) mod single;
pub(crate) mod slashes;
