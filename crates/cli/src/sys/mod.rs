//! What depends on the platform, and the only unsafe code of this package: [`native_code`],
//! [`at_start`], [`descriptors`], [`job`], `move_bytes`, and `own_thread` or `ctrl_c`.

#[cfg(target_env = "musl")]
mod allocator;
pub(crate) mod at_start;
pub(crate) mod compiler;
#[cfg(windows)]
mod ctrl_c;
pub(crate) mod descriptors;
pub(crate) mod files;
pub(crate) mod inherited;
pub(crate) mod job;
pub(crate) mod limits;
#[cfg(any(target_env = "musl", test))]
mod move_bytes;
pub(crate) mod native_code;
#[cfg(unix)]
mod own_thread;
pub(crate) mod process;
pub(crate) mod shell;
pub(crate) mod signals;
