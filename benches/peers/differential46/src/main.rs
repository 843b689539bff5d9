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
//! shortest sequence that shows it.

mod known;
mod op;
mod side;
mod twins;

use op::Op;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestError, TestRunner};
use std::cell::RefCell;
use std::process::ExitCode;
use twins::Twins;

fn main() -> ExitCode {
    let sequences = match std::env::args().nth(1).map(|n| n.parse()) {
        None => 2000,
        Some(Ok(n)) => n,
        Some(Err(_)) => {
            eprintln!("usage: differential46 [SEQUENCES]");
            return ExitCode::from(2);
        }
    };
    if !differences_are_found() {
        eprintln!("differential46: a twin that was changed on purpose was not found out");
        return ExitCode::FAILURE;
    }
    let (calls, seen) = (
        RefCell::new(0u64),
        RefCell::new(vec![0u64; known::ALL.len()]),
    );
    let config = Config {
        cases: sequences,
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&prop::collection::vec(op::any_op(), 1..60), |ops| {
        let mut twins = Twins::new();
        for (i, op) in ops.iter().enumerate() {
            twins.run(op).map_err(|difference| {
                TestCaseError::fail(format!("call {i}, {op:?}: {difference}"))
            })?;
        }
        twins.compare_files().map_err(TestCaseError::fail)?;
        *calls.borrow_mut() += ops.len() as u64;
        for (all, one) in seen.borrow_mut().iter_mut().zip(&twins.seen) {
            *all += one;
        }
        Ok(())
    });
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
    for (known, seen) in known::ALL.iter().zip(&*seen.borrow()) {
        println!("| {} | {seen} | {} |", known.place(), known.why);
    }
    println!("\n| not compared | why |\n|---|---|");
    for (what, why) in known::NOT_COMPARED {
        println!("| {what} | {why} |");
    }
    println!(
        "\n{sequences} sequences, {} calls: alike",
        calls.into_inner()
    );
    // A list that has outlived what it lists hides something.
    let unseen = seen.into_inner().iter().filter(|seen| **seen == 0).count();
    if sequences >= 2000 && unseen != 0 {
        eprintln!("differential46: {unseen} of the differences listed were never seen");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The comparison itself must be able to fail: files, memory, answers and what the other end receives.
fn differences_are_found() -> bool {
    let tries: [(fn(&mut Twins), Op); 3] = [
        (
            |twins| {
                let _ = twins.ours.call("fd_close", &[side::Arg::I(4)]);
            },
            Op::Fdstat(4),
        ),
        (
            |twins| twins.ours.write(0x4000, b"other"),
            Op::Send(5, vec![20]),
        ),
        (
            |twins| {
                let _ = twins.theirs.peers[0].send(b"more");
            },
            Op::PeerSends(0, 3),
        ),
    ];
    let found = tries.into_iter().all(|(change, op)| {
        let mut twins = Twins::new();
        change(&mut twins);
        [op, Op::Recv(5, 64, 0)]
            .iter()
            .any(|op| twins.run(op).is_err())
    });
    let twins = Twins::new();
    let files = std::fs::write(twins.ours.dir.path().join("other"), b"x").is_ok()
        && twins.compare_files().is_err();
    found && files
}
