//! The parking lot behind `memory.atomic.wait32`, `wait64` and `notify`.
//!
//! One [`ParkingLot`] serves one thread group and all of its memories. Each
//! thread has a [`Waiter`]; a word is known by its host address, so that two
//! memories never mix and two names of one memory always meet.
//!
//! # What it guarantees
//!
//! - *No lost wake-up.* The word is compared under the lock of its bucket,
//!   which a notify takes too. A thread counted by a notify returns
//!   [`WaitOutcome::Woken`], even when its timeout passes meanwhile.
//! - *Order.* Threads on one address are woken in the order in which they queued up, and only those
//!   that are counted.
//! - *An end.* [`ParkingLot::end`] wakes every waiter at once, and every later
//!   wait returns at once. No polling, no time slices.
//! - *Bounded memory.* A fixed number of buckets and one node per thread,
//!   however many addresses are ever used. Waiting allocates nothing.
//! - *Reports.* A thread can be woken to describe itself, from its own stack,
//!   and sleeps on without leaving its queue.
//! - *Deadlocks.* [`ParkingLot::stuck`] finds that no thread is left to wake another. It never errs
//!   as long as nothing outside writes the memory.
//!
//! # What it is not for
//!
//! - Waits between processes.
//! - Words whose memory is unmapped while a thread waits.
//! - Threads that wait by another mechanism: a notify here reaches the waiters of this lot only,
//!   and wasmtime's own `SharedMemory::atomic_notify` does not reach them.
//! - Locks: [`ParkingLot`] does not know what a word means, and hands no ownership over.
//!
//! # Which of these should you use?
//!
//! | you want | use |
//! |---|---|
//! | to wait on a word of the process's own, without a list of waiters, an end or a 64-bit word | a futex: the crate `atomic-wait` |
//! | locks, and queues with tokens and hand-over, keyed by addresses of the process | `parking_lot_core`: one table for the process, which grows with the threads |
//! | `memory.atomic.wait` in Wasmtime, as it is, for guests that never have to be ended | nothing: its `ParkingSpot` is there, one lock for each memory |
//! | waits that one call ends, that can be listed, counted and asked where they are; deadlocks found | this |
//!
//! # Example
//!
//! ```
//! use std::sync::atomic::{AtomicU32, Ordering};
//! use memory_waits::{ParkingLot, Role, WaitOutcome};
//!
//! let lot = ParkingLot::new(2, false);
//! let word = AtomicU32::new(0);
//! std::thread::scope(|scope| {
//!     let child = lot.register(1, Role::Guest);
//!     let waits = scope.spawn({
//!         let word = &word;
//!         move || child.wait32(word, 0, -1, &mut || ())
//!     });
//!     word.store(1, Ordering::SeqCst);
//!     lot.notify(&word, 1);
//!     let outcome = waits.join().unwrap();
//!     // Depending on who came first, it was woken or did not have to wait.
//!     assert!(matches!(outcome, WaitOutcome::Woken | WaitOutcome::NotEqual));
//! });
//! ```
//!
//! `DESIGN.md`, beside this crate's manifest, has the protocol, the rare
//! interleavings and the memory orderings.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod host_writer;
mod liveness;
mod lot;
mod node;
mod outcome;
mod parked;
mod queue;
mod spinning;
mod stats;
mod sync;
mod sys;
mod waiter;
mod word;

pub use host_writer::HostWriter;
pub use lot::{ParkingLot, Waiting};
pub use outcome::WaitOutcome;
pub use stats::WaitStatistics;
pub use waiter::{Role, Waiter};
pub use word::Width;
