//! Which code prepares a module, as a number.

use crate::rewrite::extend_fingerprint;

/// Of the sources that decide what is in a serialized module, those of the rewrite and this crate's own, and so is
/// another one when they are changed.
pub(crate) const FINGERPRINT: u64 = extend_fingerprint(
    extend_fingerprint(crate::rewrite::FINGERPRINT, include_bytes!("prepare.rs")),
    include_bytes!("precompiled.rs"),
);
