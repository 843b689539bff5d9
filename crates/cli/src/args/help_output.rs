//! Help that a library prints while it parses.
//!
//! A library prints the lists of `-O help`, `-W help` and the like, with a macro that panics if
//! stdout cannot be written.

use std::any::Any;
use std::io::ErrorKind;
use std::panic::UnwindSafe;

use crate::message::exit::Exit;
use crate::message::known_panics::caught;
use crate::message::wording::std_cannot_print;
use crate::message::{Message, Result};

/// Does `work`. If stdout cannot be written, that is an error; if it has no reader any more, the
/// process ends.
///
/// A panic for that reason becomes the error, and the panic hook does not print it. Every other
/// panic goes on as usual.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T + UnwindSafe) -> Result<T> {
    let known = |panic: &(dyn Any + Send)| std_cannot_print(panic).is_some();
    caught(known, work).map_err(|panic| match std_cannot_print(&*panic) {
        // As with this program's own output: a reader that has gone has seen enough.
        Some(why) if why.kind() == ErrorKind::BrokenPipe => {
            std::process::exit(Exit::Success.status().into())
        }
        why => {
            let message = Message::failure("stdout cannot be written");
            match why {
                Some(why) => message.why(why),
                None => message,
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::guarded;

    /// Every panic that has nothing to do with stdout must be printed, or it could not be reported.
    #[test]
    fn other_panics_say_what_they_say() {
        const CHILD: &str = "PANICS_WHILE_IT_PARSES";
        if std::env::var_os(CHILD).is_some() {
            let parsed =
                guarded(|| assert!(std::env::args_os().len() > 1000, "a fault of the parser"));
            unreachable!("{parsed:?}");
        }
        let this = concat!(module_path!(), "::other_panics_say_what_they_say");
        let (_, this) = this.split_once("::").unwrap();
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this, "--nocapture"])
            .env(CHILD, "")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{output:?}");
        assert!(
            said.contains("a fault of the parser") && said.contains(file!()),
            "{said}"
        );
    }
}
