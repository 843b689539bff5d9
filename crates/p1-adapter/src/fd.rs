//! Descriptors of the host's, as this crate takes and gives them.
//!
//! On Unix these are the types of the standard library, `std::os::fd`. Windows has handles and
//! sockets, and no type for both: there they are types of this crate, which are made of what the
//! standard library has ([`File`](std::fs::File), [`TcpStream`](std::net::TcpStream),
//! `OwnedHandle`, `OwnedSocket` and so on) and lend what is in them.

pub use crate::sys::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
