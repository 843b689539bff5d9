//! What depends on the platform, and the only unsafe code of this package: [`native_code`], [`sigpipe`] and [`mask`].

pub(crate) mod inherited;
#[cfg(unix)]
mod mask;
pub(crate) mod native_code;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod sigpipe;
