//! The functions that C calls. The only unsafe code of the crate.
//!
//! Each function turns pointers into references, calls safe code inside `guard`, which lets no
//! panic through, and turns the result into a pointer. Under *Safety* it says what the caller
//! promises about pointers.
// Pointers come from C: the caller vouches for what they point at.
#![allow(unsafe_code)]

pub mod config;
pub mod engine;
pub mod group;
pub mod module;
pub mod outcome;
pub mod strings;

use std::ffi::{CStr, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use crate::words::{c_text, of_panic};

/// Runs `body`. If it fails or panics, stores the text at `error` and returns `failed`; otherwise
/// stores NULL there.
fn guard<T>(error: *mut *mut c_char, failed: T, body: impl FnOnce() -> Result<T, String>) -> T {
    // State that a panic leaves half done is either dropped, or behind locks of the crates below,
    // which expect that.
    let result = catch_unwind(AssertUnwindSafe(body));
    let (value, text) = match result {
        Ok(Ok(value)) => (value, None),
        Ok(Err(text)) => (failed, Some(text)),
        Err(payload) => (failed, Some(of_panic(payload))),
    };
    if !error.is_null() {
        let text = text.map_or(ptr::null_mut(), |text| c_text(&text).into_raw());
        // SAFETY: every function of this folder asks for an `error` that is NULL or may be written.
        unsafe { error.write(text) };
    }
    value
}

/// Drops what a `_new` of this folder made. Does nothing for NULL.
///
/// # Safety
///
/// `pointer` is NULL or came out of [`owned`], has not been given to this function, and is used no
/// more.
unsafe fn delete<T>(pointer: *mut T) {
    if !pointer.is_null() {
        // SAFETY: the caller says that it came out of `Box::into_raw`, once.
        let object = unsafe { Box::from_raw(pointer) };
        guard(ptr::null_mut(), (), || {
            drop(object);
            Ok(())
        });
    }
}

/// A pointer that C owns from now on.
fn owned<T>(object: T) -> *mut T {
    Box::into_raw(Box::new(object))
}

/// A reference to what a pointer of C points at, for the duration of a call.
///
/// # Safety
///
/// `pointer` is NULL, or points at a `T` that lives for `'a`, and that only its own methods change
/// meanwhile.
unsafe fn given<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, String> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| format!("`{name}` is NULL"))
}

/// A text from C.
///
/// # Safety
///
/// `pointer` is NULL, or points at bytes up to a NUL byte, which do not change for `'a`.
unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, String> {
    if pointer.is_null() {
        return Err(format!("`{name}` is NULL"));
    }
    // SAFETY: not NULL; the rest is the caller's promise.
    let bytes = unsafe { CStr::from_ptr(pointer) };
    bytes.to_str().map_err(|_| format!("`{name}` is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let mut error = ptr::null_mut();
        let value = guard(&mut error, 1, || panic!("on purpose"));
        assert_eq!(value, 1);
        // SAFETY: `guard` has stored a text.
        let said = unsafe { std::ffi::CString::from_raw(error) };
        assert_eq!(said.to_str(), Ok("a fault of this library: on purpose"));
    }

    #[test]
    fn success_clears_the_error() {
        let mut error = ptr::dangling_mut();
        assert_eq!(guard(&mut error, 1, || Ok(2)), 2);
        assert!(error.is_null());
        // It may be NULL.
        assert_eq!(guard(ptr::null_mut(), 1, || Err("x".to_owned())), 1);
    }
}
