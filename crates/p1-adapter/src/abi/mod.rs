//! preview1's vocabulary: its types, rights and errnos, and what a call ends with.

pub(crate) mod convert;
pub(crate) mod errno;
pub(crate) mod error;
pub(crate) mod rights;
mod witx;

pub(crate) use witx::{types, wasi_snapshot_preview1};
