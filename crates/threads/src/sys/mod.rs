//! What depends on the platform, and the crate's unsafe code.

pub(crate) mod raw;
