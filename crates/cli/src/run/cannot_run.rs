//! Messages about a program that cannot be run.

use wasi_threads::{GroupError, RunError};

use crate::message::Message;
use crate::message::error_text::{because, first_line, one_line};
use crate::message::link_flags;

/// The message about a module of which no group can be made.
pub(crate) fn group(error: &GroupError, name: &str) -> Message {
    let message = Message::failure(format!("{name} cannot be run"));
    if let Some((why, help)) = link_flags::of_shape(error) {
        return message.why(why).help(help);
    }
    match error {
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
            .help(
                "raise `-W max-memory-size`, or link it with a smaller `--max-memory` (rustc: `-C link-arg=--max-memory=BYTES`, \
                 which is 1 GiB by default)",
            ),
        GroupError::BudgetExceeded { .. } => message.why(error).help("raise `--max-total-memory`"),
        GroupError::HostStackTooSmall { .. } => message
            .why(error)
            .help("raise `--thread-stack-size`, or lower `-W max-wasm-stack`"),
        // Imports that nothing provides were found before.
        GroupError::Link(cause) => message.why(first_line(cause)).help(
            "it was built for another version of what it imports: build it again with a current toolchain",
        ),
        GroupError::Memory(cause) | GroupError::Store(cause) => because(message, cause),
        GroupError::NoSignalStack(_) => message.why(error).help(
            "a filter of system calls (seccomp) forbids it: allow `sigaltstack`",
        ),
        other => message.why(one_line(other)),
    }
}

/// The message about a group in which no guest code ran.
pub(crate) fn run(error: &RunError, name: &str) -> Message {
    let message = Message::failure(format!("{name} cannot be run"));
    match error {
        RunError::ExportType { .. } => message
            .why(error)
            .help("only such functions can be programs"),
        RunError::HostThread(_) => message.why(one_line(error)).help(
            "threads are what it needs: raise the limit (`ulimit -u`; systemd: `TasksMax=`), or have the filter of system \
             calls allow `clone3` (an older container runtime does not)",
        ),
        RunError::Instantiate(cause) => match cause.downcast_ref() {
            Some(shape) => group(shape, name),
            None => because(message, cause),
        },
        other => message.why(one_line(other)),
    }
}
