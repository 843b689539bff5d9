//! A group as its embedder makes, runs and ends it.

mod build;
pub(crate) mod builder;
pub(crate) mod core;
mod exit;
pub(crate) mod handle;
mod link;
pub(crate) mod reactor;
pub(crate) mod run_async;
mod supervisor;
pub(crate) mod thread_group;
