//! Policies: which thread is next.
//!
//! | policy | finds |
//! |---|---|
//! | [`Random`] | most faults: how long a thread runs is drawn anew for each seed, as no single length finds all |
//! | [`Pct`] | faults of few ordering constraints in long runs, with a bound on the chance |
//! | [`Pos`] | faults of many small steps |
//! | [`RoundRobin`] | nothing by search: it is one run, for a first look |
//!
//! All but [`RoundRobin`] let a timeout fire early once in [`EARLY`] decisions while a thread
//! sleeps: no clock bounds how slow the others are. [`EarlyAtMost`] bounds by how much. A thread
//! that yields is not next while another can run.

mod choose;
mod early;
mod pct;
mod pos;
mod random;
mod round_robin;
mod spec;

pub use choose::EARLY;
pub use early::EarlyAtMost;
pub use pct::{FAIR, Pct};
pub use pos::Pos;
pub use random::{MEANS, Random};
pub use round_robin::{DEFAULT_BUDGET, RoundRobin};
pub use spec::{Kind, Spec, SpecError};
