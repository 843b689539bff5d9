//! The guest's module: preparing, compiling and inspecting it, and keeping it as a file.

mod access_sites;
#[cfg(feature = "compile")]
pub(crate) mod compatibility;
pub(crate) mod deserialize;
pub(crate) mod extern_type;
pub(crate) mod memories;
pub(crate) mod precompiled;
#[cfg(feature = "compile")]
pub(crate) mod prepare;
pub(crate) mod prepared;
#[cfg(feature = "compile")]
mod serialize;
pub(crate) mod shape;
pub(crate) mod thread_module;
