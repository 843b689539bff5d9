//! Data races of a program whose accesses to memory its host sees: events in, reports out.
//!
//! A host that runs threads tells a [`Detector`] what they do, in the order in which they do it:
//! starts, ends, accesses, waits and wakes. The detector says which two accesses race: they
//! overlap, one of them writes, one of them is not atomic, and nothing that the program did orders
//! the two. It finds the race whichever of the two came first in this run, and however far apart
//! they were. So a run in which nothing went wrong is enough.
//!
//! ```
//! use wasm_races::{Access, AccessKind, Detector, Limits, Place};
//!
//! # fn main() -> Result<(), wasm_races::EventError> {
//! let mut detector = Detector::new(Limits::default());
//! // Numbers of the caller's, for the places in the program.
//! let [spawns, writes, stores, loads, reads] = [0, 1, 2, 3, 4].map(|n| Place::new(n).unwrap());
//! let access = |thread, address, kind, place| Access {
//!     thread,
//!     address,
//!     size: 4,
//!     kind,
//!     place,
//!     number: 0,
//! };
//!
//! // Main starts a thread, writes a value, and publishes it by an atomic store.
//! detector.start(0)?;
//! detector.spawn(0, 1, spawns, 0)?;
//! detector.access(&access(0, 64, AccessKind::Write, writes))?;
//! detector.access(&access(0, 128, AccessKind::AtomicWrite, stores))?;
//! // The other reads the value without a look at the flag.
//! let races = detector.access(&access(1, 64, AccessKind::Read, reads))?;
//! assert_eq!(races.len(), 1);
//! assert_eq!(races[0].places(), (writes, reads));
//! // Had it looked, nothing would be told.
//! detector.spawn(0, 2, spawns, 1)?;
//! detector.access(&access(2, 128, AccessKind::AtomicRead, loads))?;
//! assert!(detector.access(&access(2, 64, AccessKind::Read, reads))?.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! # What orders
//!
//! | the earlier | the later | if |
//! |---|---|---|
//! | an atomic store or update | an atomic load or update | it is the last atomic write of one of the bytes, in the order of the events |
//! | a thread's spawn | what the new thread does | |
//! | a notify | what a thread does after a wait on that word | the wait was over after the notify |
//! | a wait | a notify of that word | the wait had begun |
//! | what a thread does | what it does later | |
//!
//! That is how WebAssembly's threads proposal and the memory model of JavaScript order sequentially
//! consistent accesses. A load orders nothing that other threads do after it, and a store learns
//! nothing from the stores before it. So a race with a reader is found if the writer did not wait
//! for the reader, even if both used the same flag.
//!
//! A thread's end orders nothing. A thread that joins it learns of the end by an atomic or a wait,
//! or the host says so ([`Detector::join`]).
//!
//! # What it does not do
//!
//! - See what it is not told: accesses of the host, say, or of a module that was not prepared.
//! - Judge orders that did not happen. Two accesses that a lock has ordered in this run might race
//!   in another: try several runs.
//! - Say what a race does. Some do no harm: [`Suppressions`] leaves out those that a file names, or
//!   marks them as harmless. [`Detector::sequence_lock`] says which look like a sequence lock's.
//!
//! # Memory that is given back
//!
//! [`Detector::allocate`] and [`Detector::free`] tell of the blocks of an allocator. A
//! [`Race`] then has the block that it is in. Giving a block back counts as a write of all of it,
//! so an access that nothing orders before it, or behind it, is reported.
//!
//! # Threads that run at once
//!
//! A host whose threads run one at a time tells each event, and does it before any other is told.
//! Where threads run at once, others run between the telling and the doing. [`Detector::parallel`]
//! makes a detector whose reports are right all the same. It is behind one lock of the host's,
//! which is held while an event is told, and not while it is done.
//!
//! # What it costs
//!
//! Two look-ups and a comparison or two for most accesses. Shadow memory is bounded: [`Limits`] has
//! the figures.
//!
//! The crate depends on nothing of WebAssembly, and starts no thread. `DESIGN.md`, beside its
//! manifest, argues why no race is missed and no report is wrong.

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod blocks;
mod bytes;
mod clock;
mod detector;
mod error;
mod hash;
mod limits;
mod order;
mod race;
mod sequence;
mod shadow;
mod suppress;
mod threads;

pub use detector::Detector;
pub use error::EventError;
pub use limits::Limits;
pub use race::{Access, AccessKind, Block, Counts, Origin, Place, Race, Side, ThreadInfo};
pub use suppress::{Frame, LineError, Rule, Suppressions, Verdict};
