//! What depends on the platform, and the only unsafe code of this package: [`native_code`] and [`sigpipe`].

pub(crate) mod inherited;
pub(crate) mod native_code;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod sigpipe;
