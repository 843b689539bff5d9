//! Runs whose threads take turns.
//!
//! `replay-threads` decides whose turn it is, `wasi-threads` gives it, and `p1-adapter` asks for
//! time and order: none of them knows another. They meet here.

pub(crate) mod accesses;
mod allowed;
pub(crate) mod command;
pub(crate) mod digests;
pub(crate) mod folders;
pub(crate) mod session;
pub(crate) mod temporary;
