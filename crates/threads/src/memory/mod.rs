//! Words of a shared memory as atomics.

pub(crate) mod define;
pub(crate) mod host;
pub(crate) mod words;

pub use words::{WordError, bytes, offset_of, word32, word64};
