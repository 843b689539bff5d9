//! Whether the process may have signal stacks.
#![allow(unsafe_code)]

use std::io;

/// Asks the system where the calling thread's signal stack is. Wasmtime does that on each thread
/// that runs wasm, and panics if a filter of system calls refuses it.
#[cfg(target_os = "linux")]
pub(crate) fn check() -> io::Result<()> {
    let mut stack = std::mem::MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: nothing is changed, and the place is as large as what is written there.
    match unsafe { libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The system does not refuse it.
#[cfg(not(target_os = "linux"))]
pub(crate) fn check() -> io::Result<()> {
    Ok(())
}
