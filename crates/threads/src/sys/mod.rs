//! What depends on the platform, and the crate's unsafe code.

pub(crate) mod bell;
pub(crate) mod handoff;
pub(crate) mod raw;
pub(crate) mod running;
pub(crate) mod shim;
