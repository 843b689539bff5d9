//! Decisions over a default schedule.
//!
//! The default schedule lets a thread run until it blocks, ends or yields, or has passed [`LONG`]
//! points. Then the next in the order of ids runs. A [`Decision`] is a point at which a run departs
//! from that. It is named by the thread, and by how many points the thread itself has passed. So a
//! run is the list of its departures. Most runs have few, and taking one out does not shift the
//! others.
//!
//! A [`Recorder`] around a policy keeps them. A [`Replayer`] decides by them again: strictly, where
//! every difference stops the run ([`Divergence`]), or leniently, where a decision that cannot be
//! made is left out.

mod course;
pub(crate) mod decision;
mod recorder;
mod replayer;

pub use course::LONG;
pub use decision::Decision;
pub use recorder::{MOST_DECISIONS, Recorder, Recording};
pub use replayer::{Divergence, Replayed, Replayer};
