//! The guest's module: prepared, compiled, kept as a file, and looked at.

pub(crate) mod compatibility;
pub(crate) mod precompiled;
pub(crate) mod prepare;
pub(crate) mod shape;
