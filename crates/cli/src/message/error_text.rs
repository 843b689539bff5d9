//! Errors of libraries, as text for a message.

use crate::message::Message;

/// An error's own words and those of its causes, on one line.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}

/// The same of any error.
pub(crate) fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors repeat their cause in their own words.
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

/// The message about options that the library which has them does not take.
pub(crate) fn unusable_options(error: &wasmtime::Error) -> Message {
    Message::usage("the options cannot be used").why(first_line(error))
}
