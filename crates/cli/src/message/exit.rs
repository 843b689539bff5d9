//! Exit statuses, all in one place.

use crate::sys::process::ABORT_STATUS;

/// How the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// `_start` returned.
    Success,
    /// The guest called `proc_exit` with this code, 0 to 255.
    Guest(u8),
    /// Nothing could be run because of the module, a folder or an option. Also an exit code of the
    /// guest that no process can have.
    Failure,
    /// The command line is wrong.
    Usage,
    /// A thread trapped, or time or fuel ran out.
    Trap,
    /// This signal ended the program.
    Signal(u8),
    /// A run with a schedule met something that differs from run to run.
    NotReproducible,
    /// A run with a schedule did not end within its points.
    Endless,
    /// A replay differed from the recorded run.
    Diverged,
    /// The host itself failed: a bug of this program or of a library.
    Panic,
}

impl Exit {
    /// The number the parent process sees.
    pub(crate) fn status(self) -> u8 {
        match self {
            Exit::Success => 0,
            Exit::Guest(code) => code,
            Exit::Failure => 1,
            Exit::Usage => 2,
            Exit::Trap => ABORT_STATUS,
            // As shells report a process that a signal ended.
            Exit::Signal(number) => 128u8.saturating_add(number),
            Exit::NotReproducible => 123,
            Exit::Endless => 124,
            Exit::Diverged => 125,
            // As a Rust program that panics.
            Exit::Panic => 101,
        }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        exit.status().into()
    }
}

#[cfg(test)]
mod tests {
    use super::{ABORT_STATUS, Exit};

    #[test]
    fn statuses() {
        assert_eq!(Exit::Success.status(), 0);
        assert_eq!(Exit::Guest(255).status(), 255);
        assert_eq!(Exit::Usage.status(), 2);
        assert_eq!(Exit::Signal(15).status(), 143);
        assert_eq!(Exit::Trap.status(), ABORT_STATUS);
    }
}
