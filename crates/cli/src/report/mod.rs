//! Reports about a run.

pub(crate) mod backtraces;
pub(crate) mod calls;
pub(crate) mod coredump;
pub(crate) mod events;
pub(crate) mod interleaving;
pub(crate) mod outcome;
mod own_frame;
pub(crate) mod profile;
pub(crate) mod races;
pub(crate) mod recorder;
pub(crate) mod stats;
pub(crate) mod totals;
pub(crate) mod trace;
mod whose_access;
