//! The 46 functions, called by a guest: a module of one trampoline per function, driven from here.

mod advisories;
mod alone;
mod args_env;
mod asynchronous;
mod chosen;
mod clocks;
mod dirs;
mod embedding;
mod ending;
mod errors;
mod exhausted;
mod files;
#[path = "../guest/mod.rs"]
mod guest;
mod hooks;
// The descriptors that a program on Unix would inherit, FIFOs and terminals.
#[cfg(unix)]
mod host_descriptors;
mod limits;
mod memory;
mod memory_use;
mod meta;
mod observer;
mod poll;
mod posix;
mod races;
// On Windows a task's write to a full pipe holds its thread of the runtime.
#[cfg(unix)]
mod records;
mod refused;
mod repeatable;
mod resumed;
mod rights;
mod same_bytes;
mod sandbox;
#[cfg(target_os = "linux")]
#[path = "../../../../tests/support/seccomp.rs"]
mod seccomp;
// Windows tells no task that waits that the receiving side was shut.
#[cfg(unix)]
mod shut;
mod stdio;
// Links are swapped in, which a program on Windows needs a privilege to make.
#[cfg(unix)]
mod swapped;
#[path = "../sys/mod.rs"]
mod sys;
mod unrepeatable;
mod unstable;
