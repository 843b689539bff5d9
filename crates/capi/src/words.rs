//! Errors as texts.

use std::any::Any;
use std::error::Error;
use std::ffi::CString;

/// The text of an error and its causes. A cause whose text is already there is left out.
pub(crate) fn words(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// The message of a caught panic.
pub(crate) fn of_panic(payload: Box<dyn Any + Send>) -> String {
    let said = if let Some(text) = payload.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic".to_owned()
    };
    // A payload's own drop may panic.
    std::mem::forget(payload);
    format!("a fault of this library: {said}")
}

/// A text for C, cut at its first NUL byte.
pub(crate) fn c_text(text: &str) -> CString {
    let visible = text.replace('\0', "\\0");
    CString::new(visible).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(&'static str, std::fmt::Error);

    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.1)
        }
    }

    #[test]
    fn causes_are_said_once() {
        let cause = std::fmt::Error.to_string();
        assert_eq!(
            words(&Outer("outer", std::fmt::Error)),
            format!("outer: {cause}")
        );
        let said = "outer: an error occurred when formatting an argument";
        assert_eq!(words(&Outer(said, std::fmt::Error)), said);
    }

    #[test]
    fn a_text_for_c_has_no_end_inside() {
        assert_eq!(c_text("a\0b").to_str(), Ok("a\\0b"));
        assert_eq!(c_text("").to_str(), Ok(""));
    }

    #[test]
    fn a_panic_has_words() {
        assert_eq!(of_panic(Box::new("x")), "a fault of this library: x");
        assert_eq!(of_panic(Box::new(7)), "a fault of this library: a panic");
    }
}
