//! How the program ended: the message about it, and the status.

use std::time::Duration;

use p1_adapter::{Raised, TooMuchRandom};
use replay_threads::keyed::Divergence;
use wasi_threads::schedule::ScheduleError;
use wasi_threads::{Backtrace, LeftBehind, Outcome};
use wasmtime::Trap;

use crate::message::error_text::root_cause;
use crate::message::exit::Exit;
use crate::message::{Message, say};
use crate::report::backtraces::Backtraces;

/// Reports how the program ended.
pub(crate) struct Reporter {
    /// The module, as messages name it.
    pub(crate) name: String,
    /// The time limit, if there was one.
    pub(crate) timeout: Option<Duration>,
    /// The signal that ended the program, if one did.
    pub(crate) signal: Option<u8>,
    /// Where a replay was another run, if it was.
    pub(crate) divergence: Option<Divergence>,
}

impl Reporter {
    /// Prints on stderr how the program ended, and returns the status.
    pub(crate) fn outcome(
        &self,
        outcome: &Outcome,
        backtrace: Option<Backtrace>,
        backtraces: &Backtraces,
    ) -> Exit {
        let (exit, message) = self.judge(outcome, backtraces);
        if let Some(message) = message {
            let cannot_wait = matches!(
                outcome,
                Outcome::Trapped {
                    trap: Some(Trap::UnreachableCodeReached),
                    ..
                }
            ) && backtrace.as_ref().is_some_and(in_parking_lot);
            let message = match cannot_wait {
                true => message.help(
                    "the crate `parking_lot` cannot wait as a stable compiler builds it: docs/troubleshooting.md says what can be done",
                ),
                false => message,
            };
            match backtrace {
                // In one piece, because the program's own output may go to stderr as well.
                Some(backtrace) => {
                    say(format_args!("{message}\n{}", backtraces.text(&backtrace)));
                }
                None => say(message),
            }
        }
        exit
    }

    fn judge(&self, outcome: &Outcome, backtraces: &Backtraces) -> (Exit, Option<Message>) {
        let name = &self.name;
        let message = match outcome {
            Outcome::Returned => return (Exit::Success, None),
            Outcome::Exited(code) => match u8::try_from(*code) {
                Ok(code) => return (Exit::Guest(code), None),
                // The operating system would keep 8 bits of it: 256 would be success.
                Err(_) => Message::failure(format!("{name} ended with the exit code {code}"))
                    .why("an exit status is a number from 0 to 255")
                    .help(format!(
                        "exit with one of them; of a native program's code a shell would see the lowest 8 bits, here {}",
                        code & 0xff
                    )),
            },
            Outcome::Cancelled if let Some(signal) = self.signal => {
                return (Exit::Signal(signal), None);
            }
            Outcome::Trapped {
                thread,
                trap,
                error,
            } => {
                let who = match thread.get() {
                    0 => "the main thread".to_owned(),
                    id => format!("thread {id}"),
                };
                match error.downcast_ref::<Raised>() {
                    // Shells print nothing about SIGPIPE either.
                    Some(raised) if raised.name == "SIGPIPE" => {
                        return (Exit::Signal(raised.number), None);
                    }
                    // WASI's signals have the numbers of Linux.
                    Some(raised) => Message::new(
                        Exit::Signal(raised.number),
                        format!("{who} of {name} raised {}", raised.name),
                    ),
                    None => {
                        let message = Message::new(Exit::Trap, format!("{who} of {name} trapped"))
                            .why(root_cause(error));
                        match error.downcast_ref() {
                            Some(TooMuchRandom { .. }) => {
                                message.help("the limit is `-S max-random-size`; programs that ask for less at once need none")
                            }
                            None => self.with_hint(message, *trap),
                        }
                    }
                }
            }
            Outcome::Deadlocked(deadlock) => Message::new(
                Exit::Trap,
                format!("{name} is stuck: all its threads wait for one another"),
            )
            .why(backtraces.deadlock(deadlock))
            .help("`--deadlock off` lets it wait"),
            Outcome::TimedOut => {
                let what = match self.timeout {
                    Some(after) => format!("{name} timed out after {after:?}"),
                    None => format!("{name} timed out"),
                };
                Message::new(Exit::Trap, what).help("the limit is `--timeout` or `-W timeout`")
            }
            Outcome::Panicked { thread, message } => Message::new(
                Exit::Panic,
                format!("a host function called by thread {thread} of {name} panicked"),
            )
            .why(message)
            .help("this is a bug of wasi-threads-run, not of the program: please report it"),
            Outcome::ScheduleFailed(error) => self.schedule(error),
            // An unknown kind of end is no success.
            other => Message::failure(format!("{name} was ended: {other:?}")),
        };
        (message.exit(), Some(message))
    }

    /// The message about a run that its schedule ended.
    fn schedule(&self, error: &ScheduleError) -> Message {
        let name = &self.name;
        if let Some(divergence) = &self.divergence {
            return Message::new(Exit::Diverged, divergence.to_string()).help(
                "the run differs from the file's: was the file made by this version, with the same module and input?",
            );
        }
        match error {
            ScheduleError::NotReproducible(reason) => Message::new(
                Exit::NotReproducible,
                format!("the run of {name} is not reproducible: {reason}"),
            ),
            ScheduleError::TooManyPoints(points) => Message::new(
                Exit::Endless,
                format!("{name} has not ended after {points} points"),
            )
            .help("if it is meant to take longer, raise `--max-points`"),
            other => Message::new(Exit::Panic, format!("the schedule of {name} failed"))
                .why(other)
                .help("this is a bug of wasi-threads-run, not of the program: please report it"),
        }
    }

    fn with_hint(&self, message: Message, trap: Option<Trap>) -> Message {
        match trap {
            Some(Trap::OutOfFuel) => message.help("the limit is `-W fuel`"),
            Some(Trap::StackOverflow) => message.help(
                "if the recursion is meant to end, raise `-W max-wasm-stack` (and `--thread-stack-size` with it)",
            ),
            _ => message,
        }
    }
}

/// The outcome in one line, which is the same on every machine.
pub(crate) fn in_a_line(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Returned => "returned".to_owned(),
        Outcome::Exited(code) => format!("exited with {code}"),
        Outcome::Trapped { thread, trap, .. } => {
            let trap = trap.map_or("trapped".to_owned(), |trap| trap.to_string());
            format!("thread {}: {trap}", thread.get())
        }
        Outcome::Deadlocked(_) => "deadlock".to_owned(),
        Outcome::TimedOut => "timed out".to_owned(),
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::ScheduleFailed(error) => error.to_string(),
        _ => "another end".to_owned(),
    }
}

/// Whether `parking_lot` panicked because it could not make a thread wait.
fn in_parking_lot(backtrace: &Backtrace) -> bool {
    // Independent of how compilers mangle names.
    let waits = |name: &str| name.contains("parking_lot_core") && name.contains("ThreadParker");
    backtrace
        .frames()
        .any(|frame| frame.func_name().is_some_and(waits))
}

/// The call in which a thread was left behind.
pub(crate) fn place(left: &LeftBehind) -> &'static str {
    match left.host_call {
        Some(call) => call,
        None if left.computing => {
            "its own code (it got no processor in time, or was in a long memory.fill)"
        }
        None => "a host call",
    }
}

/// Prints which threads were still in host code when the grace period was over, in one line.
pub(crate) fn left_behind(threads: &[LeftBehind]) {
    match threads {
        [] => {}
        [left] => say(format_args!(
            "note: thread {} was left behind in {}: it did not leave within `--shutdown-grace`",
            left.thread,
            place(left)
        )),
        several => {
            let mut counts = std::collections::BTreeMap::<_, usize>::new();
            for left in several {
                *counts.entry(place(left)).or_default() += 1;
            }
            let counts: Vec<_> = counts
                .iter()
                .map(|(call, count)| format!("{count} in {call}"))
                .collect();
            say(format_args!(
                "note: {} threads were left behind: {}; they did not leave within `--shutdown-grace`",
                several.len(),
                counts.join(", ")
            ));
        }
    }
}
