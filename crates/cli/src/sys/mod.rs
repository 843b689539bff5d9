//! What depends on the platform, and the only unsafe code of this package.

#[cfg(unix)]
pub(crate) mod mask;
pub(crate) mod raw;

/// Ends the process, at once: nothing is dropped, no destructor of the C library runs.
///
/// Those of the standard library wait for locks that a thread may hold for ever which has been stopped, or which blocks in writing to
/// a full pipe. Whatever was to be written has been.
pub(crate) fn exit(status: u8) -> ! {
    #[cfg(unix)]
    signal_hook::low_level::exit(status.into());
    #[cfg(not(unix))]
    std::process::exit(status.into());
}
