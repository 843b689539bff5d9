//! Deleting texts and bytes, and the version.

use std::ffi::{CString, c_char};
use std::ptr;

use super::guard;

/// Deletes a text that a function of this library has stored in `error`. Does nothing for NULL.
///
/// # Safety
///
/// The text came out of this library, was not changed, and is not deleted twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_string_delete(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: `guard` made it by `CString::into_raw`, and the caller gives it back once,
        // unchanged.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Deletes bytes of `wt_module_serialize`. Does nothing for NULL.
///
/// # Safety
///
/// Both came out of one call of `wt_module_serialize`, and are not deleted twice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wt_bytes_delete(bytes: *mut u8, length: usize) {
    if !bytes.is_null() {
        let bytes = ptr::slice_from_raw_parts_mut(bytes, length);
        // SAFETY: `wt_module_serialize` made them by `Box::into_raw` of so many bytes; the caller
        // gives them back once.
        let bytes = unsafe { Box::from_raw(bytes) };
        guard(ptr::null_mut(), (), || {
            drop(bytes);
            Ok(())
        });
    }
}

/// The version of this library, such as `48.0.0`. The first number is Wasmtime's. Do not delete the
/// text.
#[unsafe(no_mangle)]
pub extern "C" fn wt_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}
