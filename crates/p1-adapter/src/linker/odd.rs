//! Arguments with values that the interface does not have: a `whence` of 9, an unknown flag.
//!
//! wiggle's code ends such a call with an error before the function is reached, and that would be a
//! trap. But such an argument is a program's own mistake, as `lseek(fd, 0, 9)` is, and POSIX
//! answers that with `EINVAL`. So the guest is told `inval`.

use crate::abi::types::Errno;
use crate::ctx::observe::Returned;
use wasmtime::Result;
use wiggle::GuestError;

/// `inval` where `error` is about such an argument; else `error`.
///
/// # Errors
///
/// `error` itself: a trap, as of a pointer beyond the memory.
#[cold]
pub(super) fn odd_argument<R: Returned>(error: wasmtime::Error) -> Result<R> {
    match error
        .downcast_ref::<GuestError>()
        .filter(|error| is_odd(error))
    {
        Some(_) => R::returned(Errno::Inval).ok_or(error),
        None => Err(error),
    }
}

fn is_odd(error: &GuestError) -> bool {
    match error {
        // One too large for the type that it has is converted to that first.
        GuestError::InvalidFlagValue(_)
        | GuestError::InvalidEnumValue(_)
        | GuestError::TryFromIntError(_) => true,
        GuestError::InFunc { err, .. } => is_odd(err),
        _ => false,
    }
}
