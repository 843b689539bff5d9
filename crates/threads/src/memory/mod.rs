//! The memories of a group: made and defined, and read and written by host code.

pub(crate) mod define;
pub(crate) mod host;
pub(crate) mod words;

pub use words::{WordError, bytes, offset_of, word32, word64};
