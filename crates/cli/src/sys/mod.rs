//! What depends on the platform, and the only unsafe code of this package.

pub(crate) mod raw;
