//! The guest's memory, as system calls see it.

pub(crate) mod buffers;
