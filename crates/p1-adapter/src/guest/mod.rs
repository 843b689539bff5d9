//! The guest's memory, as calls and system calls see it.

pub(crate) mod buffers;
pub(crate) mod memory;
