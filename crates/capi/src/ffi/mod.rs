//! What C calls. The only unsafe code of the crate.
//!
//! Each function makes references of pointers, calls safe code inside of `guard`, which lets no panic through, and makes a
//! pointer of what comes out. The promises about pointers are the caller's, and stand at each function under *Safety*.
// Pointers come from C: what they point at is what the caller says.
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

/// Runs `body`. When it fails, or panics, the text is stored at `error`, and `failed` returned; else NULL is stored there.
fn guard<T>(error: *mut *mut c_char, failed: T, body: impl FnOnce() -> Result<T, String>) -> T {
    // What a panic leaves half done is either dropped or behind the locks of the crates below, which expect that.
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

/// Drops what a `_new` of this folder made; NULL is nothing.
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

/// What a pointer of C's points at, for as long as the caller's call.
///
/// # Safety
///
/// `pointer` is NULL, or points at a `T` that lives, and is not changed but by itself, for `'a`.
unsafe fn given<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, String> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| format!("`{name}` is NULL"))
}

/// A text of C's.
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
