//! What depends on the platform, and the only unsafe code of this package: [`native_code`], [`sigpipe`] and [`own_thread`].

pub(crate) mod inherited;
pub(crate) mod native_code;
#[cfg(unix)]
mod own_thread;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod sigpipe;
