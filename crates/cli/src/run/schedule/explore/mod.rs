//! Many runs, in processes that can be killed.
//!
//! Each job is this binary again, with the same command line. It prepares the module once and runs one seed after the other, each in a
//! group of its own; what a run writes goes into a file. The exploring process hears how each ended. A thread that computes without
//! passing a point cannot be stopped from within, so then the process is killed.

mod job;
mod protocol;
mod report;
mod serve;

pub(crate) use report::{explore, verify};
pub(crate) use serve::serve;
