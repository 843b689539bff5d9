//! The names under which a rewritten module exports what was appended to it.
//!
//! These names are tried first. If the module has an export of that name already, a number is
//! added. So a host uses the names in [`Rewritten`](crate::Rewritten). These here are for people
//! that read a rewritten module, and for documentation.

/// The table through which waits and notifies reach the host
/// ([`Rewritten::wait_table`](crate::Rewritten::wait_table)).
pub const WAIT_TABLE: &str = "wasi-threads:waits";

/// The global that says how many points are left ([`PointSlot::left`](crate::PointSlot::left)).
pub const POINTS_LEFT: &str = "wasi-threads:points-left";

/// What was the start function ([`Rewritten::start_export`](crate::Rewritten::start_export)).
pub const START: &str = "wasi-threads:start";

/// A shared memory that had no export: this name, with its index behind it
/// ([`WaitSlot::memory_export`](crate::WaitSlot::memory_export)).
pub const MEMORY: &str = "wasi-threads:memory-";
