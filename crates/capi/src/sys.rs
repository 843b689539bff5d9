//! Descriptors of C programs.
#![allow(unsafe_code)]

use std::ffi::c_int;
use std::io;

use p1_adapter::fd::OwnedFd;

/// Another descriptor for what `descriptor` stands for.
///
/// # Errors
///
/// The system's, if it is not open or none is left.
#[cfg(unix)]
pub(crate) fn duplicate(descriptor: c_int) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is only duplicated, which fails if it is not open.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor) }.try_clone_to_owned()
}

/// Another handle for what `descriptor` stands for, which is a number of the C runtime that this
/// library is linked with.
///
/// # Errors
///
/// That of a number that is not open; the system's, which has no handle left.
#[cfg(windows)]
pub(crate) fn duplicate(descriptor: c_int) -> io::Result<OwnedFd> {
    use std::os::windows::io::BorrowedHandle;
    use std::ptr::with_exposed_provenance_mut;

    unsafe extern "C" {
        safe fn _get_osfhandle(descriptor: c_int) -> isize;
    }
    // -1: not open; -2: a standard stream of a program that has none.
    let handle = match _get_osfhandle(descriptor) {
        ..0 => return Err(io::ErrorKind::InvalidInput.into()),
        handle => with_exposed_provenance_mut(handle.cast_unsigned()),
    };
    // SAFETY: it is only duplicated, while the caller's descriptor is open.
    let borrowed = unsafe { BorrowedHandle::borrow_raw(handle) };
    borrowed.try_clone_to_owned().map(OwnedFd::from)
}
