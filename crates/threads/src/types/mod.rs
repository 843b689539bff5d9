//! Values: what a group is made of, and what it returns. Nothing here starts, waits for or ends a
//! thread.

pub mod abi;
pub(crate) mod backtrace;
pub(crate) mod budget;
pub(crate) mod counts;
pub(crate) mod end_token;
pub(crate) mod error;
pub(crate) mod frames;
pub(crate) mod fuel;
pub(crate) mod limits;
pub(crate) mod outcome;
pub(crate) mod profile;
pub(crate) mod report;
mod report_text;
pub(crate) mod schedule_error;
pub(crate) mod thread_id;
