//! Pipes: what a look at one finds.
#![allow(unsafe_code)]

use super::errno::Errno;
use super::fd::BorrowedFd;
use std::ptr::null_mut;
use windows_sys::Win32::System::Pipes::PeekNamedPipe;

/// How many bytes a read would find.
///
/// # Errors
///
/// `EPIPE` if there are none, and there is no writer any more.
pub(super) fn readable_bytes(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut available = 0u32;
    let (nothing, at) = (null_mut(), &raw mut available);
    // SAFETY: the handle is open; no bytes are asked for, and only their number is written.
    match unsafe { PeekNamedPipe(fd.handle(), null_mut(), 0, nothing, at, nothing) } {
        0 => Err(Errno::last()),
        _ => Ok(available.into()),
    }
}
