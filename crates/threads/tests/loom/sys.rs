//! The parts of `src/sys` that the models compile, over loom's types.

#[path = "../../src/sys/bell.rs"]
pub(crate) mod bell;
#[path = "../../src/sys/handoff.rs"]
pub(crate) mod handoff;
#[path = "shim.rs"]
pub(crate) mod shim;
