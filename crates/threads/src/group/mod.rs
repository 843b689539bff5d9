//! A group as its embedder makes, runs and ends it.

mod build;
pub(crate) mod builder;
pub(crate) mod call_async;
pub(crate) mod core;
mod exit;
mod link;
pub(crate) mod pre;
pub(crate) mod reactor;
pub(crate) mod run_async;
mod scheduled;
mod spawned;
pub(crate) mod store_data;
mod supervisor;
pub(crate) mod termination;
pub(crate) mod thread_group;
