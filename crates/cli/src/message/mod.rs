//! Messages to the user: errors, warnings and printed results.

pub(crate) mod error_text;
pub(crate) mod exit;
pub(crate) mod known_panics;
pub(crate) mod link_flags;
pub(crate) mod progress;
pub(crate) mod wording;

use std::fmt;
use std::io::Write as _;

use wasm_symbols::{NAME_CHARS, escape};

use crate::message::exit::Exit;
use crate::sys::at_start;

/// Three lines: what happened, why, and what to do about it.
#[derive(Debug)]
pub(crate) struct Message {
    exit: Exit,
    what: String,
    why: Option<String>,
    help: Option<String>,
    /// What to do about a limit of the system. It takes the place of any other help.
    limit: Option<&'static str>,
}

/// The most characters in a line of a message. Each name has a tighter bound of its own; this one
/// is for texts that were not cut by mistake.
const LINE_CHARS: usize = 20 * NAME_CHARS;

/// Prints a text on stderr, whole lines in one call. Control characters are escaped here too, in
/// case a name was not escaped where it was put in.
///
/// A process that closes stderr wants no messages, so a failed write is no error.
pub(crate) fn say(text: impl fmt::Display) {
    say_as_it_is(visible(&text.to_string(), usize::MAX));
}

/// Prints a text for machines on stderr, unchanged.
pub(crate) fn say_as_it_is(text: impl fmt::Display) {
    let line = format!("{text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The text with each line escaped, and cut at `most` characters.
fn visible(text: &str, most: usize) -> String {
    let mut lines = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            lines.push('\n');
        }
        // Writing to a string cannot fail.
        let _ = fmt::Write::write_fmt(&mut lines, format_args!("{}", escape(line, most)));
    }
    lines
}

/// Prints a warning in one line: something besides the program went wrong after its end. It does
/// not change the status.
pub(crate) fn warn(what: impl fmt::Display, why: &dyn fmt::Display) {
    say(format_args!("warning: {what}: {why}"));
}

/// Prints what was asked for on stdout.
///
/// A reader that has gone away (`| head`) has seen enough: no error.
pub(crate) fn print(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let mut stdout = std::io::stdout().lock();
    printed(
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush()),
    )
}

/// The result of printing on stdout.
pub(crate) fn printed(how: std::io::Result<()>) -> Result<()> {
    let cannot = || Message::failure("stdout cannot be written");
    match how {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(cannot().why(error)),
        Ok(()) if at_start::was_closed(1) => Err(cannot().why("it is closed")),
        _ => Ok(()),
    }
}

/// The result of a step of a run.
pub(crate) type Result<T> = std::result::Result<T, Message>;

impl Message {
    /// Something that was asked for cannot be done: status 1.
    pub(crate) fn failure(what: impl Into<String>) -> Self {
        Self::new(Exit::Failure, what)
    }

    /// The command line is wrong: status 2.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// A message that ends the process with `exit`.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Message {
            exit,
            what: what.into(),
            why: None,
            help: None,
            limit: None,
        }
    }

    /// Adds the cause, escaped, each line within bounds.
    pub(crate) fn why(mut self, why: impl fmt::Display) -> Self {
        let why = visible(&why.to_string(), LINE_CHARS);
        self.limit = wording::limit_of_the_system(&why);
        self.why = Some(why);
        self
    }

    /// Adds the help, escaped likewise.
    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(visible(help.as_ref(), LINE_CHARS));
        self
    }

    /// The status to end with.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        if let Some(why) = &self.why {
            write!(f, "\n  why: {why}")?;
        }
        if let Some(help) = self.limit.or(self.help.as_deref()) {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn three_lines() {
        let message = Message::failure("a").why("b").help("c");
        assert_eq!(message.to_string(), "error: a\n  why: b\n  help: c");
        assert_eq!(Message::usage("a").to_string(), "error: a");
    }

    /// A message may forget to escape what a module has in it.
    #[test]
    fn nothing_is_said_that_is_not_visible() {
        let name = "\u{1b}[31m\r\u{202e}";
        let seen = r"\u{1b}[31m\r\u{202e}";
        let message = Message::failure("a").why(format!("{name}\n{name}"));
        assert_eq!(
            message.help(name).to_string(),
            format!("error: a\n  why: {seen}\n{seen}\n  help: {seen}")
        );
        let long = "n".repeat(1 << 20);
        let message = Message::failure("a").why(&long).help(&long).to_string();
        assert!(message.len() < 50_000, "{}", message.len());
    }
}
