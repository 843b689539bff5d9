//! The binary, run as its users run it.

#![allow(
    clippy::print_stdout,
    reason = "figures that were measured, and what is left out, for a reader of the tests"
)]

mod advice;
mod backtraces;
mod cache;
mod closed_pipes;
mod compiled;
#[cfg(target_os = "linux")]
mod debuggers;
mod ending;
mod examples;
mod explorations;
mod exports;
mod failures;
mod floods;
mod interleavings;
mod killed;
mod limits;
mod messages;
mod options;
mod outputs;
mod precompiled;
mod profiling;
mod races;
mod refusing_hosts;
mod schedules;
mod signals;
mod sockets;
mod subcommands;
mod surroundings;
mod threads;
mod toolchains;
mod watching;
mod zoo;

use integration_tests::Program;

/// The binary under test.
fn program() -> Program {
    Program::new(env!("CARGO_BIN_EXE_wasi-threads-run"))
}

/// Ends with status 7.
const EXIT_7: &str = r#"(module
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (call $exit (i32.const 7))))"#;

const TRAP: &str = r#"(module (func (export "_start") unreachable))"#;
