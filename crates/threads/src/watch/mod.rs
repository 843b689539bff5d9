//! What is known about each thread, and what a group tells its observer.

pub(crate) mod noted_call;
pub(crate) mod observer;
pub(crate) mod record;
