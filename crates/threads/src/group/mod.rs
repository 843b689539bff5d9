//! A group as its embedder makes, runs and ends it.

pub(crate) mod builder;
pub(crate) mod core;
mod exit;
pub(crate) mod reactor;
pub(crate) mod run_async;
pub(crate) mod thread_group;
