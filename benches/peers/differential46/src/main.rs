//! Runs the same random sequences of calls on p1-adapter and on wasi-common 46. They use what
//! `wasmtime_wasi::p1` 48 lacks, and p1-adapter's own differential test therefore cannot compare:
//! sockets (a listener and a stream handed over, connections accepted), flags, several buffers in
//! one write, polls of sockets and clocks.
//!
//! The two sides have twin directories and twin sockets. After every call both must have the same
//! errno or trap, the same bytes in memory, the same bytes at the other end, and the same files.
//!
//! ```text
//! differential46 [SEQUENCES]      default: 2000
//! ```
//!
//! [`known`] lists intended differences, with the reason. The first other difference ends the run,
//! with the shortest sequence that shows it. Before the run, faults are planted in our side and
//! must be found ([`planted`]).
#![deny(unsafe_code)]

mod known;
mod op;
mod planted;
mod seen;
mod sequences;
mod side;
mod sys;
mod twins;

use proptest::test_runner::TestError;
use std::process::ExitCode;

fn main() -> ExitCode {
    let count = match std::env::args().nth(1).map(|n| n.parse()) {
        None => 2000,
        Some(Ok(n)) => n,
        Some(Err(_)) => {
            eprintln!("usage: differential46 [SEQUENCES]");
            return ExitCode::from(2);
        }
    };
    if let Err(why) = planted::all_found() {
        eprintln!("differential46: a planted fault is not found: {why}");
        return ExitCode::FAILURE;
    }
    let (result, seen) = sequences::run(count, None);
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, ops)) => {
            eprintln!("differential46: {why}");
            for op in ops {
                eprintln!("    {op:?}");
            }
            return ExitCode::FAILURE;
        }
        Err(TestError::Abort(why)) => {
            eprintln!("differential46: given up: {why}");
            return ExitCode::FAILURE;
        }
    }
    seen.print();
    let missing = seen.missing();
    if count >= 2000 && !missing.is_empty() {
        eprintln!("differential46: never seen: {missing:#?}");
        return ExitCode::FAILURE;
    }
    println!("\n{count} sequences, {} calls: alike", seen.all_calls());
    ExitCode::SUCCESS
}
