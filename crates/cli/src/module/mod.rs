//! Modules: from the typed name to a module that can be run.

pub(crate) mod cache;
pub(crate) mod compile;
pub(crate) mod engine;
pub(crate) mod inspect;
pub(crate) mod near_names;
pub(crate) mod precompiled;
pub(crate) mod prepare;
mod proposals;
pub(crate) mod source;
pub(crate) mod toolchain;
