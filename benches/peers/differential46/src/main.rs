//! The same random sequences of calls on p1-adapter and on wasi-common 46: what `wasmtime_wasi::p1` 48 lacks, and so
//! p1-adapter's own differential test cannot compare. Sockets (a listener and a stream handed over, connections accepted),
//! flags, several buffers in one write, polls of sockets and clocks, on twin directories and twin sockets: the same errno
//! or trap, the same bytes in memory after every call, the same bytes at the other end, the same files.
//!
//! ```text
//! differential46 [SEQUENCES]      default: 2000
//! ```
//!
//! What is meant to differ is listed in [`known`], with the reason. The first other difference ends the run, with the
//! shortest sequence that shows it. Before the run, faults are planted in our side and must be found ([`planted`]).
#![deny(unsafe_code)]

mod known;
mod op;
mod planted;
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
    println!("| answers that are meant to differ | seen | why |\n|---|---:|---|");
    for (known, seen) in known::ALL.iter().zip(&seen.known) {
        println!("| {} | {seen} | {} |", known.place(), known.why);
    }
    println!("\n| not compared | why |\n|---|---|");
    for (what, why) in known::NOT_COMPARED {
        println!("| {what} | {why} |");
    }
    // A list that has outlived what it lists hides something.
    let unseen = seen.known.iter().filter(|seen| **seen == 0).count();
    if count >= 2000 && unseen != 0 {
        eprintln!("differential46: {unseen} of the differences listed were never seen");
        return ExitCode::FAILURE;
    }
    println!("\n{count} sequences, {} calls: alike", seen.calls);
    ExitCode::SUCCESS
}
