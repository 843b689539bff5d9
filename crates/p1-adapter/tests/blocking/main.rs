//! Blocking I/O on real pipes, terminals, sockets and FIFOs.
//!
//! Each property is a function over a [`subject::Subject`]: a way to read and write a descriptor.
//! It must hold for the crate's `Stream`, and must fail for a subject with the fault that it is
//! about. So a check that cannot fail would itself fail. What guests do is checked in the same way
//! over [`calls::Calls`]. `P1_ROUNDS` sets how often each is repeated (`scripts/p1-stress.sh`).

mod calls;
mod detach;
mod embedder;
mod ends;
mod fifo;
mod flags;
#[path = "../guest/mod.rs"]
mod guest;
mod listener;
mod moved_fifo;
mod parks;
mod poll;
mod progress;
mod promptly;
mod reads;
mod shut;
mod sockets;
mod subject;
mod support;
mod waits;
mod writes;
