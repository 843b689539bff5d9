//! Host threads: how many the host has capacity for, what they run on, and panics of foreign code
//! on them.

pub(crate) mod capacity;
pub(crate) mod panics;
pub(crate) mod pool;
pub(crate) mod stacks;
pub(crate) mod start_error;
