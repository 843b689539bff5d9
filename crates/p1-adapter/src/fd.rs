//! The host's descriptors, as this crate takes and gives them.
//!
//! On Unix these are the types of the standard library, `std::os::fd`. Windows has handles and
//! sockets, and no type for both, so there they are types of this crate. They are made of the
//! standard library's types ([`File`](std::fs::File), [`TcpStream`](std::net::TcpStream),
//! `OwnedHandle`, `OwnedSocket` and so on), and lend what is in them.

pub use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
