//! Host threads: started, and joined.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(any(test, not(target_os = "linux")))]
mod portable;

#[cfg(target_os = "linux")]
pub(crate) use linux::NativeThread;
#[cfg(not(target_os = "linux"))]
pub(crate) use portable::NativeThread;

/// What a host thread runs.
pub(crate) type Main = Box<dyn FnOnce() + Send>;
