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
// There are no FIFOs on Windows.
#[cfg(unix)]
mod fifo;
mod flags;
#[path = "../guest/mod.rs"]
mod guest;
mod listener;
#[cfg(unix)]
mod moved_fifo;
mod parks;
mod poll;
mod progress;
mod promptly;
mod reads;
// Windows tells no thread that waits that the receiving side was shut.
#[cfg(unix)]
mod shut;
mod sockets;
mod subject;
mod support;
#[path = "../sys/mod.rs"]
mod sys;
mod waits;
mod writes;
