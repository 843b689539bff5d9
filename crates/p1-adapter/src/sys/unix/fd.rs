//! Descriptors: the standard library's.

pub use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
