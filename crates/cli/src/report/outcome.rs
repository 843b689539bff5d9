//! How the program ended: what is said about it, and the status.

use std::time::Duration;

use p1_adapter::Raised;
use wasi_threads::{Backtrace, GroupError, LeftBehind, Outcome, PrepareError, RunError};
use wasmtime::Trap;

use crate::message::exit::Exit;
use crate::message::{Message, say};
use crate::report::calls::Calls;
use crate::run::plan::first_line;
use crate::run::signals::Received;

/// Says how the program ended.
pub(crate) struct Reporter {
    /// The module, as messages name it.
    pub(crate) name: String,
    /// The time limit, if there was one.
    pub(crate) timeout: Option<Duration>,
    /// The signal that ended the program, if one did.
    pub(crate) signal: Received,
}

impl Reporter {
    /// The status for an outcome, after saying on stderr what there is to say.
    pub(crate) fn outcome(&self, outcome: &Outcome, backtrace: Option<Backtrace>) -> Exit {
        let (exit, message) = self.judge(outcome);
        if let Some(message) = message {
            match backtrace {
                // In one piece: the program's own output may go the same way.
                Some(backtrace) => say(format_args!("{message}\n{backtrace}")),
                None => say(message),
            }
        }
        exit
    }

    fn judge(&self, outcome: &Outcome) -> (Exit, Option<Message>) {
        let name = &self.name;
        let message = match outcome {
            Outcome::Returned => return (Exit::Success, None),
            Outcome::Exited(code) => match u8::try_from(*code) {
                Ok(code) => return (Exit::Guest(code), None),
                // The operating system would keep 8 bits of it: 256 would be success.
                Err(_) => Message::failure(format!("{name} ended with the exit code {code}"))
                    .why("a process can only say 0 to 255"),
            },
            Outcome::Cancelled if let Some(signal) = self.signal.get() => {
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
                    // Of which shells say nothing, either.
                    Some(raised) if raised.name == "SIGPIPE" => {
                        return (Exit::Signal(raised.number), None);
                    }
                    // The numbers of WASI's signals are those of Linux.
                    Some(raised) => Message::new(
                        Exit::Signal(raised.number),
                        format!("{who} of {name} raised {}", raised.name),
                    ),
                    None => {
                        let message = Message::new(Exit::Trap, format!("{who} of {name} trapped"));
                        self.with_hint(message.why(error.root_cause()), *trap)
                    }
                }
            }
            Outcome::Deadlocked(deadlock) => Message::new(
                Exit::Trap,
                format!("{name} is stuck: all its threads wait for one another"),
            )
            .why(deadlock)
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
            // A kind of end that is not known here is no success.
            other => Message::failure(format!("{name} was ended: {other:?}")),
        };
        (message.exit(), Some(message))
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

/// Says which threads were still in host code when the grace period was over: in one line, however many.
pub(crate) fn left_behind(threads: &[LeftBehind], calls: &Calls) {
    let call = |left| calls.of_left(left).unwrap_or("a system call");
    match threads {
        [] => {}
        [left] => say(format_args!(
            "note: thread {} was left behind in {}: it did not leave within `--shutdown-grace`",
            left.thread,
            call(left)
        )),
        several => {
            let mut counts = std::collections::BTreeMap::<_, usize>::new();
            for left in several {
                *counts.entry(call(left)).or_default() += 1;
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

/// A module that does not become a program.
///
/// `threads`: whether the options allow shared memories and atomics.
pub(crate) fn prepare(error: &PrepareError, name: &str, threads: bool) -> Message {
    let message = Message::failure(format!("{name} cannot be compiled"));
    let why = match error {
        PrepareError::Compile(cause) => first_line(cause),
        other => one_line(other),
    };
    // What the validator says names the proposal.
    if !threads && why.contains("threads") {
        return message
            .why("it uses shared memory or atomics, and `-W threads=n` forbids that")
            .help("leave out `-W threads=n`");
    }
    // Cut short, or with another file's bytes in it.
    match why.contains("unexpected end") {
        true => message
            .why(why)
            .help("the file seems to be incomplete: build or download it again"),
        false => message.why(why),
    }
}

/// A module that does not become a group of threads.
pub(crate) fn group(error: &GroupError, name: &str) -> Message {
    let message = Message::failure(format!("{name} cannot be run"));
    match error {
        GroupError::MemoryNotShared { module, name } => message
            .why(format!(
                "it starts threads, but its memory `{module}.{name}` is not shared"
            ))
            .help("link it with `--shared-memory --max-memory=BYTES`"),
        GroupError::MemoryNotImported => message
            .why("it starts threads, but defines its memory itself, so that each thread would get its own")
            .help("link it with `--import-memory --shared-memory --max-memory=BYTES`"),
        GroupError::MemoryNotExported => message
            .why("it starts threads, but exports no memory named `memory`, where WASI looks for it")
            .help("link it with `--export-memory`"),
        GroupError::MemoryExportedIsOwn => message
            .why("it starts threads, but exports a memory of its own, so that each thread would get its own")
            .help("link it with `--import-memory --export-memory --shared-memory --max-memory=BYTES`"),
        GroupError::PreloadCommand { .. } => message
            .why(error)
            .help("link it as a library: clang and rustc call that a reactor"),
        GroupError::PreloadMemory { .. } => message
            .why(error)
            .help("link it with `--import-memory --shared-memory`"),
        GroupError::PreloadUnprepared { .. } => message
            .why(error)
            .help("compile it with `wasi-threads-run compile`"),
        GroupError::SharedMemoryDisabled => message
            .why("its memory is shared, and `-W shared-memory=n` forbids that")
            .help("leave out `-W shared-memory=n`"),
        GroupError::SharedMemoryTooLarge { declared, limit } => message
            .why(format!(
                "its shared memory may grow to {declared} bytes, and the limit is {limit}"
            ))
            .help("raise `-W max-memory-size`, or link it with a smaller `--max-memory`"),
        GroupError::HostStackTooSmall { .. } => message
            .why(error)
            .help("raise `--thread-stack-size`, or lower `-W max-wasm-stack`"),
        // What is not there at all was found before.
        GroupError::Link(cause) => message.why(first_line(cause)).help(
            "it was built for another version of what it imports: build it again with a current toolchain",
        ),
        other => message.why(one_line(other)),
    }
}

/// A group in which no guest code ran.
pub(crate) fn run(error: &RunError, name: &str) -> Message {
    let message = Message::failure(format!("{name} cannot be run"));
    match error {
        RunError::ExportType { .. } => message
            .why(error)
            .help("only such functions can be programs"),
        RunError::Instantiate(cause) => match cause.downcast_ref() {
            Some(shape) => group(shape, name),
            None => {
                let why = first_line(cause);
                let limited = why.contains("exceeds memory limits");
                let message = message.why(why);
                match limited {
                    true => message.help("raise `-W max-memory-size`"),
                    false => message,
                }
            }
        },
        other => message.why(one_line(other)),
    }
}

fn one_line(error: &dyn std::error::Error) -> String {
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
